// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"errors"
	"runtime"
	"testing"

	"dx/libdx"
)

func TestAnErrorDoesNotTellOfAnOlderFailure(t *testing.T) {
	// The text of the C library belongs to a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ch, err := Create("memfd:", Config{Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	first, err := ch.raw.OpenCaller(0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var e *Error
	if _, err = ch.raw.OpenCaller(0); !errors.Is(ours(err), ErrNoSlot) || !errors.As(ours(err), &e) || e.Detail == "" {
		t.Fatalf("a second caller on one slot: %v", err)
	}
	ch.raw.Stop()
	if _, err = ch.raw.OpenCaller(0); !errors.Is(ours(err), ErrStopped) {
		t.Fatalf("a caller after a stop: %v", err)
	} else if errors.As(ours(err), &e) && e.Detail != "" {
		t.Errorf("the error of a stop tells of something else: %v", err)
	}
	if status := ch.raw.Check(); status != libdx.ErrStopped {
		t.Errorf("after a stop: %v", status)
	}
}
