// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

// Package libdx is the C library as Go sees it: raw handles and pointers into
// shared memory. Programs use dx/go/dx instead.
//
// It lies in the folder of the C sources on purpose: the go tool rebuilds a cgo
// package when a C file in its own folder changes and only then, so that a
// changed C source reaches the next go run.
package libdx

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
#cgo LDFLAGS: -lpthread -lrt
#include <stdlib.h>
#include "dx.h"
#include "dx_native.h"
#include "wait_cpus.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Text is dx_status_string.
func (s Status) Text() string { return C.GoString(C.dx_status_string(C.dx_status(s))) }

// checked runs f, whose error text belongs to the thread it ran on.
func checked(f func() C.dx_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := f()
	if status == C.DX_OK {
		return nil
	}
	return &Error{Status(status), C.GoString(C.dx_last_error())}
}

// Preset returns a named wait strategy.
func Preset(name string) (Wait, error) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var w Wait
	err := checked(func() C.dx_status { return C.dx_wait_preset(text, w.c()) })
	return w, err
}

// PresetNames lists the wait strategies that have a name.
func PresetNames() []string {
	var names []string
	for i := C.uint(0); ; i++ {
		name := C.dx_wait_preset_name(i)
		if name == nil {
			return names
		}
		names = append(names, C.GoString(name))
	}
}

// CPUs is how many CPUs this process has, by affinity and cgroup quota.
func CPUs() int { return int(C.dx_cpus()) }

// Check says which field of w is out of its range.
func (w *Wait) Check() error {
	return checked(func() C.dx_status { return C.dx_wait_check(w.c()) })
}
