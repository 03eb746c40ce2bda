// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// scribble is a process that writes garbage all over the region for a while, as a peer that has
// gone mad would: random words, small numbers, single bits, words from elsewhere in the region.
func (r *role) scribble() error {
	file, err := os.OpenFile(r.Region, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	memory, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Region, err)
	}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/8)
	halves := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/4)
	random := rand.New(rand.NewPCG(r.Seed, 0))
	// Now and then one word, or all of the region at once.
	burst := 1 << random.IntN(9)
	for end := time.Now().Add(r.Duration); time.Now().Before(end) && r.ctx.Err() == nil; {
		for range burst {
			word := &words[random.IntN(len(words))]
			half := &halves[random.IntN(len(halves))]
			switch random.IntN(5) {
			case 0:
				atomic.StoreUint64(word, random.Uint64())
			case 1:
				atomic.StoreUint32(half, random.Uint32N(64))
			case 2:
				atomic.StoreUint32(half, random.Uint32())
			case 3:
				atomic.StoreUint64(word, atomic.LoadUint64(word)^1<<random.IntN(64))
			case 4:
				atomic.StoreUint64(word, atomic.LoadUint64(&words[random.IntN(len(words))]))
			}
		}
		// The victims share our CPUs: they must see some garbage before it is overwritten.
		time.Sleep(50 * time.Microsecond)
	}
	return unix.Munmap(memory)
}
