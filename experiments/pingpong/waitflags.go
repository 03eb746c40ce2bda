// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"dx/go/dx"
)

// waitFlag is a single parameter of the wait strategy, which overrides what -wait names.
type waitFlag struct {
	name, help string
	index      int // of the field of dx.Wait
}

// waitFlags makes a flag of each field of dx.Wait: park_timeout_ns is -park-timeout, and a duration.
func waitFlags() (flags []waitFlag) {
	for i := range reflect.TypeFor[dx.Wait]().NumField() {
		tag := reflect.TypeFor[dx.Wait]().Field(i).Tag
		name := strings.ReplaceAll(strings.TrimSuffix(tag.Get("toml"), "_ns"), "_", "-")
		flags = append(flags, waitFlag{name: name, help: tag.Get("usage"), index: i})
	}
	return flags
}

func (f waitFlag) set(w *dx.Wait, text string) error {
	field := reflect.ValueOf(w).Elem().Field(f.index)
	if named, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return named.UnmarshalText([]byte(text))
	}
	if field.CanInt() {
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no duration such as 50us or 100ms", text)
		}
		field.SetInt(int64(d))
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return fmt.Errorf("%q is no number from 0 to 4294967295", text)
	}
	field.SetUint(n)
	return nil
}
