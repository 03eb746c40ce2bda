// SPDX-License-Identifier: Apache-2.0

package floor

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func boundaryArea(t *testing.T) []byte {
	t.Helper()
	area, err := unix.Mmap(-1, 0, BoundaryBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(area) })
	return area
}

// A guest may be stopped right behind its "ready", and go on when its host has begun.
func TestGuestThatComesLateStillTakesPart(t *testing.T) {
	area := boundaryArea(t)
	measured := make(chan error, 1)
	go func() {
		r, err := MeasureBoundary(area, 64, false, time.Millisecond, nil)
		if err == nil && (r.Loops == 0 || r.RTTNs <= 0) {
			err = errors.New("nothing was measured")
		}
		measured <- err
	}()
	// The first word is the number of the measurement.
	started := (*atomic.Uint64)(unsafe.Pointer(&area[0]))
	for started.Load() == 0 {
		runtime.Gosched()
	}
	var stop atomic.Int32
	ended := make(chan error, 1)
	go func() { ended <- ServeBoundary(area, &stop) }()
	if err := <-measured; err != nil {
		t.Error(err)
	}
	stop.Store(1)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWithoutAGuestNothingIsMeasured(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	if _, err := MeasureBoundary(boundaryArea(t), 0, false, time.Millisecond, ended); !errors.Is(err, ErrNoBoundaryGuest) {
		t.Error(err)
	}
}
