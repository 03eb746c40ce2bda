// SPDX-License-Identifier: Apache-2.0

package floor

// #include "floor.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffers are a source and a destination for many measurements: faulting in a gigabyte takes longer
// than copying it. One goroutine at a time may use them.
type Buffers struct{ to, from []byte }

// NewBuffers maps two buffers of that many bytes and faults them in, which takes a few tenths of a
// second for each GB. Close gives them back.
func NewBuffers(bytes int) (*Buffers, error) {
	if bytes <= 0 || bytes > MaxBandwidthBytes {
		return nil, fmt.Errorf("floor: buffer of %d bytes: must be 1 to %d", bytes, MaxBandwidthBytes)
	}
	b := &Buffers{}
	for i, half := range []*[]byte{&b.to, &b.from} {
		memory, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			b.Close()
			return nil, fmt.Errorf("floor: cannot allocate two buffers of %d bytes: %w", bytes, err)
		}
		for j := range memory { // not zeros, and a page of its own for each
			memory[j] = byte(0x5a + i)
		}
		*half = memory
	}
	return b, nil
}

// Bandwidth is floor.Bandwidth on the first bytes of both buffers.
func (b *Buffers) Bandwidth(kind Kind, bytes int, d time.Duration) (Traffic, error) {
	if err := check(kind, bytes, len(b.to), d); err != nil {
		return Traffic{}, err
	}
	var out C.struct_floor_moved
	C.floor_move(C.enum_floor_traffic(kind), (*C.char)(unsafe.Pointer(&b.to[0])),
		(*C.char)(unsafe.Pointer(&b.from[0])), C.size_t(bytes), C.int64_t(d), &out)
	return Traffic{uint64(out.bytes), uint64(out.loads), time.Duration(out.elapsed_ns)}, nil
}

// Close gives the memory back. A second Close does nothing.
func (b *Buffers) Close() {
	for _, half := range []*[]byte{&b.to, &b.from} {
		if *half != nil {
			unix.Munmap(*half)
			*half = nil
		}
	}
}
