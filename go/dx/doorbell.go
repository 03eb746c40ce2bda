// SPDX-License-Identifier: Apache-2.0

package dx

import (
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
// waits: one goroutine wakes all bells of a channel, without a thread of libdx.
type doorbell struct {
	file  *os.File // nil where there is no rendezvous
	mu    sync.Mutex
	bells map[*bell]struct{}
	ended sync.WaitGroup
}

func (d *doorbell) open(fd int) {
	if fd < 0 {
		return
	}
	d.file = os.NewFile(uintptr(fd), "dx-doorbell")
	d.bells = map[*bell]struct{}{}
	d.ended.Go(d.run)
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
	var count [8]byte
	rings, since := 0, time.Now()
	for {
		if _, err := d.file.Read(count[:]); err != nil {
			return
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

func (d *doorbell) close() {
	if d.file != nil {
		_ = d.file.Close()
		d.ended.Wait()
	}
}
