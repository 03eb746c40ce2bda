// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"

	"dx/experiments/internal/frame"
)

// size is what a frame is: a picture of 24 bits a pixel, or just bytes.
type size struct {
	name          string
	bytes         int
	width, height int // 0: no picture
}

const bitsPerPixel = 24

var pictures = []size{picture("1080p", 1920, 1080), picture("1440p", 2560, 1440), picture("4K", 3840, 2160)}

func picture(name string, width, height int) size {
	return size{name, width * height * bitsPerPixel / 8, width, height}
}

var units = []struct {
	name  string
	bytes int
}{{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// parseSizes reads a list of pictures, sizes and ranges.
func parseSizes(text string) (sizes []size, err error) {
	for _, part := range strings.Split(text, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "..")
		one, err := parseSize(first)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, one)
		if !isRange {
			continue
		}
		end, err := parseSize(last)
		if err != nil {
			return nil, err
		}
		if one.bytes >= end.bytes {
			return nil, fmt.Errorf("%q: a range goes from a smaller to a larger size", part)
		}
		for bytes := 4 * one.bytes; bytes < end.bytes; bytes *= 4 {
			sizes = append(sizes, size{name: formatSize(bytes), bytes: bytes})
		}
		sizes = append(sizes, end)
	}
	return sizes, nil
}

func parseSize(text string) (size, error) {
	for _, p := range pictures {
		if strings.EqualFold(text, p.name) {
			return p, nil
		}
	}
	bytes, err := parseBytes(text)
	if err == nil && (bytes < frame.Step || bytes > frame.BytesMax || bytes%frame.Step != 0) {
		err = fmt.Errorf("%q: %d B to %s, in steps of %d B", text, frame.Step, formatSize(frame.BytesMax), frame.Step)
	}
	return size{name: formatSize(bytes), bytes: bytes}, err
}

// ringMin leaves room for the messages about a frame.
const ringMin = 4 << 10

func parseList(text string, low, high int) (list []int, err error) {
	for _, part := range strings.Split(text, ",") {
		bytes, err := parseBytes(strings.TrimSpace(part))
		if err == nil && (bytes < low || bytes > high) {
			err = fmt.Errorf("%q: %s to %s", part, formatSize(low), formatSize(high))
		}
		if err != nil {
			return nil, err
		}
		list = append(list, bytes)
	}
	return list, nil
}

// parseBytes reads a number of bytes with or without a unit.
func parseBytes(text string) (int, error) {
	unit := 1
	number := text
	for _, u := range units {
		if before, found := strings.CutSuffix(text, u.name); found {
			unit, number = u.bytes, before
			break
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > 1<<40 {
		return 0, fmt.Errorf("%q is no size, such as 64KiB, 1MiB, 24883200", text)
	}
	return n * unit, nil
}

// formatSize is exact.
func formatSize(bytes int) string {
	for _, u := range units {
		if bytes >= u.bytes && bytes%u.bytes == 0 {
			return strconv.Itoa(bytes/u.bytes) + u.name
		}
	}
	return "0B"
}
