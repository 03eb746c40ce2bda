// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"dx/experiments/internal/cload"
	"dx/go/dx"
)

// TransportBell is the bare doorbell into a virtual machine: what no parked call is faster than. It
// has one caller, closed loops, and both sides in C.
const TransportBell = "bare-doorbell"

// bellLoad is its calling side. It verifies nothing: there is no protocol whose copies could be wrong.
type bellLoad struct {
	bell    *cload.Bell
	where   string
	stopped atomic.Bool
}

func openBell(c Config, url string) (load, error) {
	b, err := cload.CreateBell(url, c.Payload)
	return &bellLoad{bell: b, where: url}, err
}

func (l *bellLoad) url() string               { return l.where }
func (l *bellLoad) fd() int                   { return -1 }
func (l *bellLoad) open(int, bool) error      { return nil }
func (l *bellLoad) stats(dx.StatsOf) dx.Stats { return dx.Stats{} }
func (l *bellLoad) park() dx.Park             { return dx.ParkDoorbell }
func (l *bellLoad) stop()                     { l.stopped.Store(true) }

func (l *bellLoad) close() error {
	l.bell.Close()
	return nil
}

// bellCallsMax bounds the memory for one slice.
const bellCallsMax = 1 << 20

func (l *bellLoad) slice(of stretch) (slice, error) {
	s := newSlice(of)
	if of.open != nil {
		return s, errors.New("no open loops of the bare doorbell") // Check refuses them
	}
	if l.stopped.Load() {
		s.calls = []uint64{0}
		return s, nil
	}
	began := time.Now()
	times, err := l.bell.Calls(of.d, bellCallsMax)
	s.elapsed, s.calls = time.Since(began), []uint64{uint64(len(times))}
	if of.timed {
		s.record(times, nil)
	}
	return s, err
}

// serveBell is the guest.
func serveBell(g guestConfig) error {
	b, err := cload.AttachBell(g.URL, g.Payload)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Println("ready")
	return b.Serve()
}
