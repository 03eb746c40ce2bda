// SPDX-License-Identifier: Apache-2.0

package floor

// #include "boundary.h"
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// BoundaryBytes is what MeasureBoundary and ServeBoundary need of the memory that a host and its guest
// share: the same bytes on both sides, on a page of their own.
const BoundaryBytes = C.FLOOR_BOUNDARY_BYTES

// ErrNoBoundaryGuest means that nobody in the guest serves the bare loop.
var ErrNoBoundaryGuest = errors.New("floor: nobody in the guest takes part in the bare loop")

// MeasureBoundary returns the round trip between the calling thread and ServeBoundary in the guest, as
// Measure does between two threads. The guest spins with PAUSE between its looks or without: where
// the guest's code is translated, PAUSE leaves the translated code. It blocks for about d, or until
// ended is closed if the guest does not answer.
func MeasureBoundary(area []byte, bytes int, pause bool, d time.Duration, ended <-chan struct{}) (Result, error) {
	if len(area) < BoundaryBytes || bytes < 0 || bytes > MaxExchangeBytes || d <= 0 {
		return Result{}, fmt.Errorf("floor: %d bytes for %v in an area of %d: they cannot be", bytes, d, len(area))
	}
	gone := new(atomic.Int32)
	measured := make(chan struct{})
	defer close(measured)
	go func() {
		select {
		case <-ended:
			gone.Store(1)
		case <-measured:
		}
	}()
	var out C.struct_floor_exchange
	switch C.floor_boundary_measure(unsafe.Pointer(&area[0]), C.size_t(bytes), C.bool(pause), C.int64_t(d),
		(*C.int)(unsafe.Pointer(gone)), &out) {
	case C.FLOOR_BOUNDARY_NOBODY:
		return Result{}, ErrNoBoundaryGuest
	case C.FLOOR_BOUNDARY_SILENT:
		return Result{}, errors.New("floor: the guest ended before it had answered")
	case C.FLOOR_BOUNDARY_MEMORY:
		return Result{}, fmt.Errorf("floor: cannot allocate the buffers: %w", syscall.ENOMEM)
	}
	return Result{
		RTTNs:   float64(out.elapsed_ns) / float64(out.loops),
		Loops:   uint64(out.loops),
		Elapsed: time.Duration(out.elapsed_ns),
	}, nil
}

// ServeBoundary is the guest's side, until *stop is not 0. Idle, it looks twice a millisecond.
func ServeBoundary(area []byte, stop *atomic.Int32) error {
	if len(area) < BoundaryBytes {
		return fmt.Errorf("floor: an area of %d bytes: %d are needed", len(area), BoundaryBytes)
	}
	if errno := C.floor_boundary_serve(unsafe.Pointer(&area[0]), (*C.int)(unsafe.Pointer(stop))); errno != 0 {
		return syscall.Errno(errno)
	}
	return nil
}
