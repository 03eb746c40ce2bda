// SPDX-License-Identifier: Apache-2.0

// Package contract is what a peer's program in Go is made of. It takes the same flags and orders, and
// answers with the same lines, as a program in C: experiments/peers/c/peer.h says which.
package contract

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/alarm"
)

// Exit codes.
const (
	CodeFailed = 1
	CodeUsage  = 2
	CodeCannot = 3 // this peer cannot do what the options ask
)

// ErrCannot is wrapped by an error of a peer that cannot do what the options ask.
var ErrCannot = errors.New("cannot")

// Options are what both sides are told.
type Options struct {
	Way     string // of those that the program has
	At      string // an empty folder of this pair of processes, for sockets and the like
	Payload int    // bytes
	Callers int
}

// Call sends a request and returns when as many bytes have come into response, which the server has
// copied from the request.
type Call func(request, response []byte) error

// Peer is what a program has of its own.
type Peer struct {
	// Serve makes everything that a client needs to find the server, and returns while goroutines
	// serve. What it returns removes that.
	Serve func(Options) (end func(), err error)
	// Open connects the caller with this number, from 0. One goroutine at a time uses it.
	Open func(o Options, caller int) (Call, error)
	// Close, if there is one, ends what Open has begun.
	Close func() error
}

// Report answers an order.
type Report struct {
	Calls        []uint64    `json:"calls"` // of each caller
	ElapsedNs    int64       `json:"elapsed_ns"`
	Errors       uint64      `json:"errors"`
	Wrong        uint64      `json:"wrong"`  // answers to another request, counted as calls, too
	Missed       uint64      `json:"missed"` // calls of a schedule that were never started
	RoundTrips   [][2]uint64 `json:"round_trips"`
	FromIntended [][2]uint64 `json:"from_intended"` // a time in ns, and how often it was met
}

// Order is what a client is to do.
type Order struct {
	Duration time.Duration
	Timed    bool
	RatePerS float64 // of all callers, by a schedule; 0: each call follows the one before
	NoCalls  bool    // only wait for the starts of the schedule
}

func (o Order) String() string {
	number := map[bool]int{true: 1}
	return fmt.Sprintf("%d %d %g %d", o.Duration, number[o.Timed], o.RatePerS, number[!o.NoCalls])
}

func parseOrder(line string) (o Order, err error) {
	var timed, calls int
	if _, err := fmt.Sscan(line, (*int64)(&o.Duration), &timed, &o.RatePerS, &calls); err != nil {
		return o, fmt.Errorf("order %q: %w", line, err)
	}
	o.Timed, o.NoCalls = timed == 1, calls == 0
	return o, nil
}

// Main is the main function of such a program.
func Main(p Peer) {
	signal.Ignore(os.Interrupt) // whoever started us ends us
	side, o := parse(os.Args)
	out, err := takeOutput()
	switch {
	case err != nil:
	case side == "server":
		err = serve(p, o, out)
	default:
		err = makeCalls(p, o, out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, ErrCannot) {
			os.Exit(CodeCannot)
		}
		os.Exit(CodeFailed)
	}
	os.Exit(0) // goroutines still wait for requests
}

// takeOutput returns what was the standard output. What libraries print there goes to the standard error.
func takeOutput() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(unix.Stdout), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "output"), unix.Dup3(unix.Stderr, unix.Stdout, 0)
}

// Listen returns a listening Unix socket FOLDER/socket; one that a dead server left there is replaced.
func (o Options) Listen() (net.Listener, error) {
	if err := os.Remove(o.Socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", o.Socket())
}

// Socket is the socket's path.
func (o Options) Socket() string { return filepath.Join(o.At, "socket") }

func parse(args []string) (side string, o Options) {
	fs := flag.NewFlagSet("server|client", flag.ExitOnError)
	fs.StringVar(&o.Way, "way", "", "which of the program's ways")
	fs.StringVar(&o.At, "at", "", "an empty folder")
	fs.IntVar(&o.Payload, "payload", 64, "bytes of each request and each response")
	fs.IntVar(&o.Callers, "callers", 1, "callers")
	if len(args) < 2 || args[1] != "server" && args[1] != "client" {
		fs.Usage()
		os.Exit(CodeUsage)
	}
	_ = fs.Parse(args[2:]) // it exits at an error
	if o.At == "" || o.Payload < 8 || o.Callers < 1 {
		fs.Usage()
		os.Exit(CodeUsage)
	}
	return args[1], o
}

func serve(p Peer, o Options, out io.Writer) error {
	end, err := p.Serve(o)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	end()
	return err
}

func makeCalls(p Peer, o Options, out io.Writer) error {
	l := &load{o: o}
	for i := range o.Callers {
		call, err := p.Open(o, i)
		if err != nil {
			return err
		}
		c := &caller{load: l, call: call, index: i, sequence: uint64(i) << 40,
			request: make([]byte, o.Payload), response: make([]byte, o.Payload)}
		for j := range c.request {
			c.request[j] = byte(i + 1)
		}
		if c.alarm, err = alarm.New(); err != nil {
			return err
		}
		l.callers = append(l.callers, c)
	}
	fmt.Fprintln(out, "ready")
	reports := json.NewEncoder(out)
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		order, err := parseOrder(orders.Text())
		if err != nil {
			return err
		}
		if err := reports.Encode(l.carryOut(order)); err != nil {
			return err
		}
	}
	if p.Close != nil {
		return errors.Join(orders.Err(), p.Close())
	}
	return orders.Err()
}

// load is all callers.
type load struct {
	o       Options
	order   Order
	began   time.Time
	ended   atomic.Bool
	callers []*caller
}

type caller struct {
	load                        *load
	call                        Call
	alarm                       *alarm.Alarm
	index                       int
	sequence                    uint64
	request, response           []byte
	made, errors, wrong, missed uint64
	roundTrips, fromIntended    Times
	_                           [64]byte // the next one's counters are on another line
}

func (l *load) carryOut(order Order) Report {
	l.order, l.began = order, time.Now()
	l.ended.Store(false)
	var all sync.WaitGroup
	for _, c := range l.callers {
		c.made, c.errors, c.wrong, c.missed = 0, 0, 0, 0
		c.roundTrips, c.fromIntended = Times{}, Times{}
		all.Go(c.run)
	}
	if order.RatePerS == 0 {
		time.AfterFunc(order.Duration, func() { l.ended.Store(true) })
	}
	all.Wait()
	r := Report{ElapsedNs: int64(time.Since(l.began))}
	var roundTrips, fromIntended Times
	for _, c := range l.callers {
		r.Calls = append(r.Calls, c.made)
		r.Errors, r.Wrong, r.Missed = r.Errors+c.errors, r.Wrong+c.wrong, r.Missed+c.missed
		roundTrips.Merge(&c.roundTrips)
		fromIntended.Merge(&c.fromIntended)
	}
	r.RoundTrips, r.FromIntended = roundTrips.Pairs(), fromIntended.Pairs()
	return r
}

// run ends with the first call that fails, but for schedules: the next one might hang.
func (c *caller) run() {
	switch {
	case c.load.order.RatePerS > 0:
		c.runScheduled()
	case c.load.order.Timed:
		c.runTimed()
	default:
		for !c.load.ended.Load() && c.errors == 0 {
			c.once()
		}
	}
}

// once makes a call with a number of its own, which the response must have, too.
func (c *caller) once() bool {
	c.sequence++
	binary.LittleEndian.PutUint64(c.request, c.sequence)
	if err := c.call(c.request, c.response); err != nil {
		if c.errors++; c.errors == 1 {
			fmt.Fprintln(os.Stderr, "call:", err)
		}
		return false
	}
	if binary.LittleEndian.Uint64(c.response) != c.sequence {
		c.wrong++
	}
	c.made++
	return true
}

func (c *caller) runTimed() {
	before := time.Now()
	for !c.load.ended.Load() && c.errors == 0 {
		made := c.once()
		after := time.Now()
		if made {
			c.roundTrips.Record(after.Sub(before))
		}
		before = after
	}
}

// spin is how much of a wait for a start is spun away: no sleep is so short.
const spin = 20 * time.Microsecond

// runScheduled makes the calls of this caller: number n is to start n/rate after the begin and belongs
// to caller n modulo their number. One that is late starts at once; those that are left after twice the
// duration are missed.
func (c *caller) runScheduled() {
	order := c.load.order
	for n := c.index; ; n += len(c.load.callers) {
		start := time.Duration(float64(n) / order.RatePerS * 1e9)
		if start >= order.Duration {
			return
		}
		if time.Since(c.load.began) > 2*order.Duration {
			c.missed++
			continue
		}
		intended := c.load.began.Add(start)
		c.alarm.Wait(intended, spin, &c.load.ended)
		if order.NoCalls {
			c.made++
			continue
		}
		began := time.Now()
		if c.once() {
			now := time.Now()
			c.roundTrips.Record(now.Sub(began))
			c.fromIntended.Record(now.Sub(intended))
		}
	}
}
