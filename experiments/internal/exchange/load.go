// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dx/experiments/internal/alarm"
	"dx/experiments/internal/cload"
	"dx/experiments/internal/content"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
	"dx/go/dx"
	"dx/libdx"
)

// slice is what all callers did in one stretch of the measurement.
type slice struct {
	calls          []uint64 // of each caller
	elapsed        time.Duration
	errors         uint64
	timeouts       uint64
	verifyFailures uint64
	dropped        uint64        // round trips that were not kept
	missed         uint64        // calls of an open loop that were never started
	latency        *stat.Latency // nil if it was not timed
	// Of an open loop: from the intended start, and from there to the real one.
	intended, late *stat.Latency
}

// stretch says how a slice is to be.
type stretch struct {
	d     time.Duration
	timed bool
	open  *schedule // nil: a closed loop
}

// newSlice has the histograms that a stretch fills.
func newSlice(of stretch) slice {
	s := slice{}
	if of.timed || of.open != nil {
		s.latency = stat.NewLatency()
	}
	if of.open != nil {
		s.intended, s.late = stat.NewLatency(), stat.NewLatency()
	}
	return s
}

// record adds the times of one caller.
func (s *slice) record(rttNs, intendedNs []uint32) {
	for _, ns := range rttNs {
		s.latency.Record(int64(ns))
	}
	for i, ns := range intendedNs {
		s.intended.Record(int64(ns))
		s.late.Record(int64(ns) - int64(min(rttNs[i], ns)))
	}
}

// add adds what one caller did.
func (s *slice) add(c cload.Count) {
	s.calls = append(s.calls, c.Calls)
	s.errors += c.Errors
	s.timeouts += c.Timeouts
	s.verifyFailures += c.VerifyFailures
	s.dropped += c.Dropped
	s.missed += c.Missed
	s.record(c.RTTNs, c.IntendedNs)
}

// samplesKept bounds the memory for the round trips of one slice, of all callers.
const samplesKept = 1 << 23

// load is a side with its callers, in either language.
type load interface {
	url() string
	fd() int
	open(payload int, verify bool) error
	slice(of stretch) (slice, error)
	stats(of dx.StatsOf) dx.Stats
	park() dx.Park // how the host really sleeps
	stop()         // any goroutine
	close() error
}

// openHost creates the region.
func openHost(c Config, vm *vmRun) (load, error) {
	if isAlternative(c.Transport) {
		return openAlternative(c, vm.machine)
	}
	url := peer.URL(c.Transport, c.Dir, "exchange")
	if vm != nil {
		url = vm.machine.URL()
	}
	if c.Transport == TransportBell {
		return openBell(c, url)
	}
	if c.Direction == result.GuestToHost {
		return openFar(c, url)
	}
	if c.Host == "c" {
		if err := c.Wait.Check(); err != nil {
			return nil, err
		}
		wait := libdx.WaitOf(c.Wait)
		h, err := cload.Create(url, c.Threads, c.slots(), c.Payload, &wait)
		if err != nil {
			return nil, err
		}
		h.InFlight = c.InFlight
		return &cLoad{h, url, c.Threads}, err
	}
	path := dx.PathNative
	if c.Path == "cgo" {
		path = dx.PathCgo
	}
	ch, err := dx.Create(url, dx.Config{Slots: c.slots(), RequestBytes: c.Payload,
		ResponseBytes: c.Payload, Options: dx.Options{Wait: &c.Wait, Path: path}})
	return &goLoad{ch: ch, where: url, c: c}, err
}

// goLoad calls from goroutines.
type goLoad struct {
	ch      *dx.Channel
	where   string
	c       Config
	callers []*goCaller
	ended   atomic.Bool // the slice is over
	stopped atomic.Bool
}

// goCaller is one goroutine's state between slices.
type goCaller struct {
	load        *goLoad
	caller      *dx.Caller   // nil with queue
	queue       *queueLoad   // of several calls in flight; else nil
	alarm       *alarm.Alarm // of an open loop
	index       uint32
	sequence    uint64
	verify      bool
	request     []byte
	response    []byte
	cload.Count          // of one slice; the times of a timed one go up to their capacity
	_           [64]byte // the next one's counters are on another line
}

func (l *goLoad) url() string   { return l.where }
func (l *goLoad) fd() int       { return l.ch.FD() }
func (l *goLoad) park() dx.Park { return l.ch.ParkKind() }

func (l *goLoad) open(payload int, verify bool) error {
	for i := range l.c.Threads {
		c := &goCaller{load: l, index: uint32(i),
			verify: verify, request: make([]byte, payload), response: make([]byte, payload)}
		var err error
		if l.c.InFlight > 0 {
			c.queue, err = openQueueLoad(l.ch, l.c.InFlight)
		} else {
			c.caller, err = l.ch.OpenCaller(context.Background())
		}
		if err != nil {
			return err
		}
		l.callers = append(l.callers, c)
		if l.c.RatePerS > 0 {
			if c.alarm, err = alarm.New(); err != nil {
				return err
			}
		}
	}
	return nil
}

// room empties the caller's tally and makes what the stretch will fill.
func (c *goCaller) room(of stretch) {
	c.Count = cload.Count{}
	if of.open != nil {
		_, count := of.open.of(uint64(c.index), uint64(len(c.load.callers)))
		c.RTTNs = make([]uint32, 0, count)
		c.IntendedNs = make([]uint32, 0, count)
	} else if of.timed {
		c.RTTNs = make([]uint32, 0, samplesKept/len(c.load.callers))
	}
}

func (l *goLoad) slice(of stretch) (slice, error) {
	for _, c := range l.callers {
		c.room(of)
	}
	l.ended.Store(l.stopped.Load())
	var running sync.WaitGroup
	began := time.Now()
	longest := of.d
	if of.open != nil {
		longest = of.open.longest
	}
	for _, c := range l.callers {
		running.Go(func() { c.run(of, began) })
	}
	timer := time.AfterFunc(longest, func() { l.ended.Store(true) })
	running.Wait()
	timer.Stop()
	if of.open != nil {
		l.idle(began.Add(of.d))
	}
	s := newSlice(of)
	s.elapsed = time.Since(began)
	for _, c := range l.callers {
		s.add(c.Count)
	}
	return s, nil
}

// idle waits for the end of a slice that has no calls left, since what the sides
// cost without calls belongs to it.
func (l *goLoad) idle(end time.Time) {
	for left := time.Until(end); left > 0 && !l.ended.Load(); left = time.Until(end) {
		time.Sleep(min(left, alarm.LongestSleep))
	}
}

// run is one caller.
func (c *goCaller) run(of stretch, began time.Time) {
	if c.load.c.LockOSThread {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	switch {
	case c.queue != nil:
		c.runQueue(of.timed)
	case of.open != nil:
		c.runOpen(of.open, began)
	case of.timed:
		c.runTimed()
	default:
		for !c.load.ended.Load() {
			c.call()
		}
	}
}

// runTimed keeps each round trip as it is: a histogram for each of hundreds of
// callers would drive what is measured out of the caches. Between the two looks
// at the clock lies the call and nothing else.
func (c *goCaller) runTimed() {
	for !c.load.ended.Load() {
		began := time.Now()
		if !c.call() {
			continue
		}
		c.keep(time.Since(began))
	}
}

func (c *goCaller) keep(ns time.Duration) {
	if len(c.RTTNs) == cap(c.RTTNs) {
		c.Dropped++
		return
	}
	c.RTTNs = append(c.RTTNs, sample(ns))
}

// call makes one call and judges it.
func (c *goCaller) call() bool {
	kind := uint32(typeEcho)
	if c.verify {
		kind = typeVerify
		c.sequence++
		content.Fill(c.request, c.index, c.sequence)
	}
	reply, err := c.caller.Call(context.Background(), kind, c.request, c.response)
	if err != nil {
		c.failed(err)
		return false
	}
	c.Calls++
	if c.verify && !content.IsAnswer(reply.Data, len(c.request), c.index, c.sequence) {
		c.VerifyFailures++
	}
	return true
}

func (c *goCaller) failed(err error) {
	c.Errors++
	switch err {
	case dx.ErrTimeout, dx.ErrNoPeer:
		c.Timeouts++
	case dx.ErrPeerDead, dx.ErrPeerClosed, dx.ErrStopped:
		c.load.ended.Store(true) // gone, and gone for this run
	}
}

func (l *goLoad) stats(of dx.StatsOf) dx.Stats {
	s, _ := l.ch.Stats(of)
	return s
}

func (l *goLoad) stop() {
	l.stopped.Store(true)
	l.ended.Store(true)
	l.ch.Stop()
}

func (l *goLoad) close() error {
	for _, c := range l.callers {
		if c.queue != nil {
			_ = c.queue.Close()
		} else {
			_ = c.caller.Close()
		}
		if c.alarm != nil {
			c.alarm.Close()
		}
	}
	return l.ch.Close()
}
