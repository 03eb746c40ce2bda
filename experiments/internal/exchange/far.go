// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"dx/experiments/internal/cload"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/stat"
	"dx/go/dx"
	"dx/libdx"
)

// farLoad is a load whose callers run in the guest: this side answers them, for as long as a slice
// takes. Orders go to the guest's standard input, reports come from its standard output, one object
// of JSON a line, so that nothing but calls is in the region.
type farLoad struct {
	ch    *dx.Channel
	where string
	c     Config
	guest peer.Process
	once  sync.Once
	ended chan struct{} // by stop
}

// farPatience is how much longer than its slice a report may take: a guest that lives and says nothing
// would else hold us up for good.
const farPatience = 10 * time.Minute

// farOrder is one slice; without a duration it is the last.
type farOrder struct {
	Duration time.Duration
	Timed    bool
}

// farReport is a slice's outcome.
type farReport struct {
	Calls                                     []uint64
	Elapsed                                   time.Duration
	Errors, Timeouts, VerifyFailures, Dropped uint64
	Latency                                   string // as stat encodes it; empty: it was not timed
	Fail                                      string // there is no outcome for this reason
}

func openFar(c Config, url string) (load, error) {
	// Path is of the calls; this side must stop answering and begin again, which cgo cannot.
	ch, err := dx.Create(url, dx.Config{GuestSlots: c.Threads, RequestBytes: c.Payload, ResponseBytes: c.Payload,
		Options: dx.Options{Wait: &c.Wait}})
	return &farLoad{ch: ch, where: url, c: c, ended: make(chan struct{})}, err
}

func (l *farLoad) url() string   { return l.where }
func (l *farLoad) fd() int       { return l.ch.FD() }
func (l *farLoad) park() dx.Park { return l.ch.ParkKind() }

// open does nothing: the guest opened its callers before it was ready.
func (l *farLoad) open(int, bool) error { return nil }

func (l *farLoad) stats(of dx.StatsOf) dx.Stats {
	s, _ := l.ch.Stats(of)
	return s
}

func (l *farLoad) stop() {
	l.once.Do(func() { close(l.ended) })
	l.ch.Stop()
}

// close tells the guest to go, if it is still there.
func (l *farLoad) close() error {
	if l.guest != nil {
		_ = l.order(farOrder{})
	}
	return l.ch.Close()
}

func (l *farLoad) slice(of stretch) (slice, error) {
	if of.open != nil {
		return slice{}, errors.New("no open loops of a guest's callers") // Check refuses them
	}
	// No longer than this, so that nobody wants this CPU while a floor is measured.
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		if l.c.LockOSThread {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		served <- handlers{}.serveCalls(ctx, l.ch, l.c.Payload)
	}()
	r, err := l.ask(farOrder{of.d, of.timed}, served)
	cancel()
	if err != nil {
		return slice{}, err
	}
	if err := <-served; !errors.Is(err, context.Canceled) {
		return slice{}, err
	}
	return r.slice(of)
}

// ask gives an order and awaits its report, or the end of the server.
func (l *farLoad) ask(o farOrder, served chan error) (r farReport, err error) {
	if err := l.order(o); err != nil {
		return r, err
	}
	select {
	case line := <-l.guest.Lines():
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return r, fmt.Errorf("the guest's report: %w", err)
		}
	case err := <-served:
		return r, err
	case <-l.ended:
		return r, dx.ErrStopped
	case <-time.After(o.Duration + farPatience):
		return r, fmt.Errorf("guest: no report %v after the end of a slice of %v", farPatience, o.Duration)
	}
	if r.Fail != "" || len(r.Calls) != l.c.Threads {
		return r, fmt.Errorf("the guest's report: %d callers, %q", len(r.Calls), r.Fail)
	}
	return r, nil
}

func (l *farLoad) order(o farOrder) error {
	text, err := json.Marshal(o)
	if err == nil {
		_, err = l.guest.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	return nil
}

func (r farReport) slice(of stretch) (slice, error) {
	s := newSlice(of)
	s.calls, s.elapsed, s.errors, s.timeouts = r.Calls, r.Elapsed, r.Errors, r.Timeouts
	s.verifyFailures, s.dropped = r.VerifyFailures, r.Dropped
	if !of.timed {
		return s, nil
	}
	latency, err := stat.DecodeLatency(r.Latency)
	if err == nil {
		s.latency.Merge(latency)
	}
	return s, err
}

// callFar is the guest's side: it makes calls as it is ordered to, until nobody orders any more.
func callFar(g guestConfig) error {
	l, err := attachLoad(g)
	if err != nil {
		return err
	}
	defer func() { _ = l.close() }()
	if err := l.open(g.Payload, g.Verify); err != nil {
		return err
	}
	fmt.Println("ready")
	reports := json.NewEncoder(os.Stdout)
	orders := bufio.NewReader(os.Stdin)
	for {
		line, err := orders.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		var o farOrder
		if err == nil {
			err = json.Unmarshal(line, &o)
		}
		if err != nil {
			return fmt.Errorf("an order: %w", err)
		}
		if o.Duration == 0 {
			return nil
		}
		if err := reports.Encode(report(l, o)); err != nil {
			return err
		}
	}
}

func report(l load, o farOrder) farReport {
	s, err := l.slice(stretch{d: o.Duration, timed: o.Timed})
	r := farReport{Calls: s.calls, Elapsed: s.elapsed, Errors: s.errors, Timeouts: s.timeouts,
		VerifyFailures: s.verifyFailures, Dropped: s.dropped}
	if err == nil && o.Timed {
		r.Latency, err = s.latency.Encode()
	}
	if err != nil {
		r.Fail = err.Error()
	}
	return r
}

// attachLoad opens the channel whose host is elsewhere.
func attachLoad(g guestConfig) (load, error) {
	if g.Lang == "c" {
		if err := g.Wait.Check(); err != nil {
			return nil, err
		}
		wait := libdx.WaitOf(g.Wait)
		h, err := cload.Attach(g.URL, g.Threads, &wait)
		return &cLoad{h, g.URL, g.Threads}, err
	}
	ch, err := attachGo(g)
	return &goLoad{ch: ch, where: g.URL, c: Config{Threads: g.Threads, LockOSThread: g.Lock}}, err
}
