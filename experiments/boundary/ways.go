// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/exchange"
	"dx/go/dx"
)

// way is one way over the VM boundary.
type way struct {
	name        string
	config      exchange.Config
	alternative bool // not dx
	again       bool // a second measurement of another way, to compare it with itself and for nothing else
	bare        bool // nothing but doorbells: what a parked call cannot be faster than
}

// The names of the ways that are compared by name.
const (
	polling      = "polling"
	spinFirst    = "spin, then doorbell"
	pollingAgain = "polling again"
	atOnce       = "doorbell"
	atOnceInC    = "doorbell, in C"
	bareBell     = "bare doorbell, in C"
	serial       = "virtio-serial"
	tcp          = "TCP"
)

// polls are the intervals of those that look again.
var polls = []time.Duration{50 * time.Microsecond, 500 * time.Microsecond}

// ways begins with those that are compared to within a few percent, so that they lie side by side.
func (c config) ways() (all []way) {
	base := exchange.Default()
	base.Payload, base.Verify, base.Pin, base.Duration, base.RatePerS = c.payload, true, c.pin, c.longest, c.rate
	add := func(name, side string, wait dx.Wait) {
		if c.peerTimeout != 0 {
			wait.PeerTimeoutNs = int64(c.peerTimeout)
		}
		e := base
		e.Transport, e.Host, e.Guest, e.Wait = boundary.TransportDoorbell, side, side, wait
		all = append(all, way{name: name, config: e, again: name == pollingAgain})
	}
	// Over the VM boundary a side is away for longer, and sleeping costs more, than between processes.
	spins, err := dx.Preset("latency")
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	never := spins
	never.Park = dx.ParkNever
	add(polling, "go", never)
	add(spinFirst, "go", spins)
	add(pollingAgain, "go", never)
	add(atOnce, "go", exchange.ParkAtOnce(dx.ParkDoorbell, 0))
	add(atOnceInC, "c", exchange.ParkAtOnce(dx.ParkDoorbell, 0))
	bare := base
	bare.Transport, bare.Host, bare.Guest, bare.Verify, bare.RatePerS = exchange.TransportBell, "c", "c", false, 0
	all = append(all, way{name: bareBell, config: bare, bare: true})
	for _, poll := range polls {
		add("poll "+poll.String(), "go", exchange.ParkAtOnce(dx.ParkPoll, poll))
	}
	for _, alternative := range []struct{ name, transport string }{{serial, exchange.TransportSerial}, {tcp, exchange.TransportTCP}} {
		e := base
		e.Transport = alternative.transport
		all = append(all, way{name: alternative.name, config: e, alternative: true})
	}
	return all
}

// rates puts the closed loop first.
func (c config) rates() []float64 {
	if c.rate == 0 {
		return []float64{0}
	}
	return []float64{0, c.rate}
}

// turn is the order of a run: another one in each, so that no way always comes after the same.
func (c config) turn(run int) []way {
	all := c.ways()
	closely, rest := all[:3], all[3:]
	first := (run - 1) % len(rest)
	return append(append(closely[:3:3], rest[first:]...), rest[:first]...)
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
