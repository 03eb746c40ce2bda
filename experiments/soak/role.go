// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/cload"
	"dx/experiments/internal/ledger"
	"dx/experiments/internal/peer"
	"dx/go/dx"
)

// soakRole is one of the processes of a soak. It ends by SIGTERM, in good order; an error is for the
// supervisor, as an event.
var soakRole = peer.Of("soak", func(c roleConfig) error {
	r, err := newRole(c)
	if err != nil {
		return err
	}
	switch r.Role {
	case "host":
		return r.host()
	case "guest":
		return r.guest()
	case "scribbler":
		return r.scribble()
	}
	return fmt.Errorf("no role %q", r.Role)
})

// ledgerFD is where a process finds its ledger: the first of its extra files.
const ledgerFD = 3

// roleConfig is what the supervisor tells a process.
type roleConfig struct {
	Role           string // host, guest, scribbler
	Life           uint32
	Lang           string
	URL            string
	Callers        int
	Payload        int
	CPUs           []int
	Procs          int
	Wait           dx.Wait
	ThroughRestart bool
	WrongAt        uint64

	Region   string // scribbler: a path of the region
	Duration time.Duration
	Seed     uint64
}

// role is this process.
type role struct {
	roleConfig
	ledger   *ledger.Ledger
	ctx      context.Context // ends by SIGTERM or with the supervisor
	commands chan string
	hanging  atomic.Bool // no request is answered any more
	mu       sync.Mutex  // one event at a time
}

func newRole(c roleConfig) (*role, error) {
	r := &role{roleConfig: c, commands: make(chan string)}
	if len(r.CPUs) > 0 {
		if err := affinity.Pin(r.CPUs); err != nil {
			return nil, err
		}
	}
	if r.Procs > 0 {
		runtime.GOMAXPROCS(r.Procs)
	}
	// The runtime opens the descriptors of its poller with the first timer: now, where they are no
	// leak.
	pause()
	var err error
	if r.ledger, err = ledger.Open(os.NewFile(ledgerFD, "ledger"), r.Callers); err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	r.ctx = ctx
	go func() {
		defer stop()
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			r.commands <- lines.Text()
		}
	}()
	return r, nil
}

// say tells the supervisor what has happened now.
func (r *role) say(event string, args ...any) { r.sayAt(ledger.Now(), event, args...) }

func (r *role) sayAt(ns int64, event string, args ...any) {
	line := fmt.Sprintln(append([]any{event, ns}, args...)...)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = io.WriteString(os.Stdout, line)
}

// sample says how much memory this process holds on to.
func (r *role) sample() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.say("sample", m.HeapAlloc+cload.HeapBytes())
}

// pause lets another try be worth it.
func pause() { time.Sleep(time.Millisecond) }
