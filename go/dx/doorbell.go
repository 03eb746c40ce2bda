// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// doorbell is this side's eventfd at a rendezvous, for which the runtime's poller
// waits: one goroutine wakes all bells of its channels, without a thread of libdx.
type doorbell struct {
	file  *os.File
	mu    sync.Mutex
	users int // channels
	bells map[*bell]struct{}
	ended sync.WaitGroup
	found atomic.Uint64 // waits that were rung and found news
}

// openDoorbell owns fd; nil if there is none. Channels that are places of one host have one eventfd,
// of which there is one reader: shared, of the first of them.
func openDoorbell(fd int, shared *doorbell) *doorbell {
	if fd < 0 {
		return nil
	}
	// Whoever shares the eventfd may have cleared the flag, without which os does not poll.
	setNonblock(fd)
	file := os.NewFile(uintptr(fd), "dx-doorbell")
	if shared != nil {
		_ = file.Close()
		shared.mu.Lock()
		defer shared.mu.Unlock()
		shared.users++
		return shared
	}
	d := &doorbell{file: file, users: 1, bells: map[*bell]struct{}{}}
	d.ended.Go(d.run)
	return d
}

func (d *doorbell) add(b *bell) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bells[b] = struct{}{}
}

func (d *doorbell) remove(b *bell) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.bells, b)
}

// run ends when the file is closed.
func (d *doorbell) run() {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return // closed
	}
	slow := brake{rings: libdx.BrakeRingsMax}
	for {
		if err := conn.Read(takeRings); errors.Is(err, os.ErrClosed) {
			return
		} else if err != nil { // the runtime cannot wait for it: look now and then
			time.Sleep(libdx.BrakePauseMaxNs)
			if conn.Control(func(fd uintptr) { takeRings(fd) }) != nil {
				return
			}
		}
		d.ring()
		if pause := slow.afterRing(d.found.Load()); pause > 0 {
			time.Sleep(pause)
		}
	}
}

func (d *doorbell) ring() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for b := range d.bells {
		select {
		case b.rung <- struct{}{}:
		default: // rung already
		}
	}
}

// close is called once by each of its channels; d may be nil.
func (d *doorbell) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.users--
	last := d.users == 0
	d.mu.Unlock()
	if last {
		_ = d.file.Close()
		d.ended.Wait()
	}
}
