// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"errors"
	"os"
	"sync"
	"time"
)

const (
	// stormRings in stormTime are more than sleepers can cause: somebody rings for
	// the sake of it, and is listened to once in a stormPause.
	stormRings = 2000
	stormTime  = 10 * time.Millisecond
	stormPause = time.Millisecond
)

// doorbell is this side's eventfd at a rendezvous, for which the runtime's poller
// waits: one goroutine wakes all bells of its channels, without a thread of libdx.
type doorbell struct {
	file  *os.File
	mu    sync.Mutex
	users int // channels
	bells map[*bell]struct{}
	ended sync.WaitGroup
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
	rings, since := 0, time.Now()
	for {
		if err := conn.Read(takeRings); errors.Is(err, os.ErrClosed) {
			return
		} else if err != nil { // the runtime cannot wait for it: look now and then
			time.Sleep(stormPause)
			if conn.Control(func(fd uintptr) { takeRings(fd) }) != nil {
				return
			}
		}
		d.ring()
		if rings++; rings == stormRings {
			if time.Since(since) < stormTime {
				time.Sleep(stormPause)
			}
			rings, since = 0, time.Now()
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
