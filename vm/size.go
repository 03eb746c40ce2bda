// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// size is a flag of bytes, with a suffix K, M, G or T of powers of 1024.
type size int64

const suffixes = "KMGT"

// Set is flag.Value's.
func (s *size) Set(text string) error {
	number, shift := strings.ToUpper(text), 0
	if number != "" {
		if i := strings.IndexByte(suffixes, number[len(number)-1]); i >= 0 {
			number, shift = number[:len(number)-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > 1<<62>>shift {
		return fmt.Errorf("%q: bytes, or a number with K, M, G or T", text)
	}
	*s = size(n << shift)
	return nil
}

// String is the shortest form without a fraction.
func (s *size) String() string {
	n, suffix := int64(*s), ""
	for i := 0; i < len(suffixes) && n != 0 && n%1024 == 0; i++ {
		n, suffix = n/1024, suffixes[i:i+1]
	}
	return strconv.FormatInt(n, 10) + suffix
}

// cpuList is a flag such as 0,2-3.
type cpuList []int

// Set is flag.Value's.
func (l *cpuList) Set(text string) error {
	*l = nil
	for _, part := range strings.Split(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 12)
		last, errLast := strconv.ParseUint(to, 10, 12)
		if err != nil || errLast != nil || first > last {
			return fmt.Errorf("%q: numbers of host CPUs such as 0,2-3", text)
		}
		for cpu := first; cpu <= last; cpu++ {
			*l = append(*l, int(cpu))
		}
	}
	return nil
}

func (l *cpuList) String() string {
	words := make([]string, len(*l))
	for i, cpu := range *l {
		words[i] = strconv.Itoa(cpu)
	}
	return strings.Join(words, ",")
}
