// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dx/experiments/internal/across"
	"dx/experiments/internal/boundary"
	"dx/experiments/internal/exchange"
	"dx/go/dx"
)

// way is one way over the VM boundary.
type way struct {
	name   string // in tables
	flag   string // of -ways
	config exchange.Config
	again  bool // a second measurement of another way, to compare it with itself and for nothing else
	bare   bool // nothing but doorbells: what a parked call cannot be faster than
}

// ways are those that -ways asks for. They begin with those that are compared to within a few percent,
// so that they lie side by side.
func (c config) ways() []way {
	return slices.DeleteFunc(c.all(), func(w way) bool { return len(c.wanted) > 0 && !slices.Contains(c.wanted, w.flag) })
}

func (c config) all() (all []way) {
	base := exchange.Default()
	base.Payload, base.Verify, base.Pin, base.Duration, base.RatePerS = c.payload, true, c.pin, c.longest, c.rate
	add := func(name, flag, side string, wait dx.Wait) {
		if c.peerTimeout != 0 {
			wait.PeerTimeoutNs = int64(c.peerTimeout)
		}
		e := base
		e.Transport, e.Host, e.Guest, e.Wait = boundary.TransportDoorbell, side, side, wait
		all = append(all, way{name: name, flag: flag, config: e, again: name == across.PollingAgain})
	}
	// Over the VM boundary a side is away for longer, and sleeping costs more, than between processes.
	spins, err := dx.Preset("latency")
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	never := spins
	never.Park = dx.ParkNever
	add(across.Polling, "polling", "go", never)
	add(across.SpinFirst, "spin", "go", spins)
	add(across.PollingAgain, "polling-again", "go", never)
	add(across.AtOnce, "doorbell", "go", exchange.ParkAtOnce(dx.ParkDoorbell, 0))
	add(across.AtOnceInC, "doorbell-c", "c", exchange.ParkAtOnce(dx.ParkDoorbell, 0))
	bare := base
	bare.Transport, bare.Host, bare.Guest, bare.Verify, bare.RatePerS = exchange.TransportBell, "c", "c", false, 0
	all = append(all, way{name: across.BareBell, flag: "bare-doorbell", config: bare, bare: true})
	for _, poll := range across.Polls {
		add(across.Poll(poll), fmt.Sprintf("poll-%dus", poll.Microseconds()), "go", exchange.ParkAtOnce(dx.ParkPoll, poll))
	}
	for i, transport := range []string{exchange.TransportSerial, exchange.TransportTCP, exchange.TransportVsock} {
		e := base
		e.Transport = transport
		all = append(all, way{name: across.Alternatives[i], flag: transport, config: e})
	}
	return all
}

// flags are the ways as -ways names them.
func flags() (all []string) {
	for _, w := range (config{}).all() {
		all = append(all, w.flag)
	}
	return all
}

// parseWays are the flags of a list; none: all.
func parseWays(list string) (wanted []string, err error) {
	if list == "all" {
		return nil, nil
	}
	known := flags()
	for _, flag := range strings.Split(list, ",") {
		if !slices.Contains(known, flag) {
			return nil, fmt.Errorf("-ways %q: %q is none of: all, %s", list, flag, strings.Join(known, ", "))
		}
		wanted = append(wanted, flag)
	}
	return wanted, nil
}

// available are the ways that this machine has, and what is left out. One that was asked for by its name
// is not left out: that is an error.
func (c config) available(ctx context.Context, say func(string)) (ways []way, out []across.LeftOut, err error) {
	for _, w := range c.ways() {
		if w.config.Transport == exchange.TransportVsock {
			if missing := boundary.CheckVsock(ctx, c.vsock, say); missing != nil {
				out = append(out, across.LeftOut{Way: w.name, Why: missing.Error()})
				continue
			}
		}
		ways = append(ways, w)
	}
	if len(out) > 0 && len(c.wanted) > 0 {
		return nil, nil, errors.New(out[0].Way + ": " + out[0].Why)
	}
	return ways, out, nil
}

// turn is the order of a run: another one in each, so that no way always comes after the same.
func turn(all []way, run int) []way {
	near := 0
	for near < len(all) && slices.Contains([]string{across.Polling, across.SpinFirst, across.PollingAgain}, all[near].name) {
		near++
	}
	closely, rest := all[:near:near], all[near:]
	if len(rest) == 0 {
		return closely
	}
	first := (run - 1) % len(rest)
	return append(append(closely, rest[first:]...), rest[:first]...)
}

// visit is what is measured of a way in one run.
func (c config) visit(w way, run int) exchange.Visit {
	v := exchange.Visit{Samples: uint64(c.samples), Least: min(least, c.longest)}
	if w.again || w.bare {
		return v
	}
	if c.rate > 0 {
		v.Scheduled = c.scheduled
	}
	if c.lieIdle(run) {
		v.Idle = c.idle
	}
	return v
}

// lieIdle says whether nobody calls for a while in this run.
func (c config) lieIdle(run int) bool { return c.idle > 0 && run <= c.idleRuns }
