// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"dx/experiments/internal/cload"
	"dx/experiments/internal/content"
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
	latency        *stat.Latency // nil if it was not timed
	dropped        uint64        // round trips that were not kept
}

// samplesKept bounds the memory for the round trips of one slice, of all callers.
const samplesKept = 1 << 23

// load is a host with its callers, in either language.
type load interface {
	url() string
	fd() int
	open(payload int, verify bool) error
	slice(d time.Duration, timed bool) (slice, error)
	stats(of dx.StatsOf) dx.Stats
	stop() // any goroutine
	close() error
}

// openHost creates the region.
func openHost(c Config) (load, error) {
	url := "memfd:"
	switch c.Transport {
	case "shm":
		url = fmt.Sprintf("shm:dx-exchange-%d", os.Getpid())
	case "file":
		url = "file:" + filepath.Join(c.Dir, "region")
	case "unix":
		url = "unix:" + filepath.Join(c.Dir, "rendezvous")
	}
	if c.Host == "c" {
		wait, err := c.Wait.Raw()
		if err != nil {
			return nil, err
		}
		h, err := cload.Create(url, c.Threads, c.Payload, &wait)
		return &cLoad{h, url, c.Threads}, err
	}
	path := dx.PathNative
	if c.Path == "cgo" {
		path = dx.PathCgo
	}
	ch, err := dx.Create(url, dx.Config{Slots: c.Threads, RequestBytes: c.Payload,
		ResponseBytes: c.Payload, Options: dx.Options{Wait: &c.Wait, Path: path}})
	return &goLoad{ch: ch, where: url, threads: c.Threads}, err
}

// goLoad calls from goroutines.
type goLoad struct {
	ch      *dx.Channel
	where   string
	threads int
	callers []*goCaller
	ended   atomic.Bool // the slice is over
	stopped atomic.Bool
}

// goCaller is one goroutine's state between slices.
type goCaller struct {
	load      *goLoad
	caller    *dx.Caller
	index     uint32
	sequence  uint64
	verify    bool
	request   []byte
	response  []byte
	samplesNs []uint32 // round trips of a timed slice, up to its capacity
	dropped   uint64
	calls     uint64
	errors    uint64
	timeouts  uint64
	wrong     uint64
	_         [64]byte // the next one's counters are on another line
}

func (l *goLoad) url() string { return l.where }
func (l *goLoad) fd() int     { return l.ch.FD() }

func (l *goLoad) open(payload int, verify bool) error {
	for i := range l.threads {
		caller, err := l.ch.Caller(context.Background())
		if err != nil {
			return err
		}
		l.callers = append(l.callers, &goCaller{load: l, caller: caller, index: uint32(i),
			verify: verify, request: make([]byte, payload), response: make([]byte, payload)})
	}
	return nil
}

func (l *goLoad) slice(d time.Duration, timed bool) (slice, error) {
	l.ended.Store(l.stopped.Load())
	var running sync.WaitGroup
	began := time.Now()
	for _, c := range l.callers {
		c.calls, c.errors, c.timeouts, c.wrong, c.dropped, c.samplesNs = 0, 0, 0, 0, 0, nil
		if timed {
			c.samplesNs = make([]uint32, 0, samplesKept/len(l.callers))
		}
		running.Go(c.run)
	}
	timer := time.AfterFunc(d, func() { l.ended.Store(true) })
	running.Wait()
	timer.Stop()
	s := slice{elapsed: time.Since(began)}
	if timed {
		s.latency = stat.NewLatency()
	}
	for _, c := range l.callers {
		s.calls = append(s.calls, c.calls)
		s.errors += c.errors
		s.timeouts += c.timeouts
		s.verifyFailures += c.wrong
		s.dropped += c.dropped
		for _, ns := range c.samplesNs {
			s.latency.Record(int64(ns))
		}
	}
	return s, nil
}

// run is the closed loop of one caller.
func (c *goCaller) run() {
	if c.samplesNs != nil {
		c.runTimed()
		return
	}
	for !c.load.ended.Load() {
		c.call()
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
		ns := time.Since(began)
		if len(c.samplesNs) == cap(c.samplesNs) {
			c.dropped++
			continue
		}
		c.samplesNs = append(c.samplesNs, uint32(min(ns, math.MaxUint32)))
	}
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
		c.errors++
		switch err {
		case dx.ErrTimeout, dx.ErrNoPeer:
			c.timeouts++
		case dx.ErrPeerDead, dx.ErrPeerClosed, dx.ErrStopped:
			c.load.ended.Store(true) // gone, and gone for this run
		}
		return false
	}
	c.calls++
	if c.verify && !content.IsAnswer(reply.Data, len(c.request), c.index, c.sequence) {
		c.wrong++
	}
	return true
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
		_ = c.caller.Close()
	}
	return l.ch.Close()
}

// cLoad calls from C threads.
type cLoad struct {
	host    *cload.Host
	where   string
	threads int
}

func (l *cLoad) url() string                         { return l.where }
func (l *cLoad) fd() int                             { return l.host.FD() }
func (l *cLoad) open(payload int, verify bool) error { return l.host.Open(payload, verify) }
func (l *cLoad) stop()                               { l.host.Stop() }
func (l *cLoad) close() error                        { return l.host.Close() }
func (l *cLoad) stats(of dx.StatsOf) libdx.Stats     { return l.host.Stats(int(of)) }

func (l *cLoad) slice(d time.Duration, timed bool) (slice, error) {
	room := 0
	if timed {
		room = samplesKept / l.threads
	}
	counts, elapsed, err := l.host.Slice(d, room)
	if err != nil {
		return slice{}, err
	}
	s := slice{elapsed: elapsed}
	if timed {
		s.latency = stat.NewLatency()
	}
	for _, c := range counts {
		s.calls = append(s.calls, c.Calls)
		s.errors += c.Errors
		s.timeouts += c.Timeouts
		s.verifyFailures += c.VerifyFailures
		s.dropped += c.Dropped
		for _, ns := range c.SamplesNs {
			s.latency.Record(int64(ns))
		}
	}
	return s, nil
}
