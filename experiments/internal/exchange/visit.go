// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"dx/experiments/internal/result"
)

// Visit is several measurements of the same two sides, one after the other, so that they need not
// be started anew for each: round trips of a closed loop, then those of a schedule, then no calls.
type Visit struct {
	// Samples are the round trips of the closed loop, as in RoundTrips, and Least is how long it
	// takes at least, even if there are as many before.
	Samples uint64
	Least   time.Duration
	// Scheduled is how long calls start at Config.RatePerS; 0 leaves that out.
	Scheduled time.Duration
	// Idle is how long nobody calls; 0 leaves that out.
	Idle time.Duration
}

// Visited is the outcome of a Visit; nil: it was left out.
type Visited struct {
	Closed result.Cell
	Open   *result.Cell
	Idle   *Idleness
}

// Measure starts both sides, measures and ends them; see Measure of this package.
func (v Visit) Measure(ctx context.Context, c Config) (Visited, error) {
	if v.Scheduled > 0 && c.RatePerS <= 0 {
		return Visited{}, errors.New("a schedule without a rate")
	}
	return withPeers(ctx, c, func(m *measurement, ctx context.Context) (out Visited, err error) {
		closed := *m
		closed.c.RatePerS = 0
		if out.Closed, err = closed.roundTrips(ctx, v.Samples, v.Least); err != nil {
			return out, err
		}
		if v.Scheduled > 0 {
			open := *m
			open.c.Duration, open.warm = v.Scheduled, true
			cell, err := open.roundTrips(ctx, math.MaxUint64, 0)
			if err != nil {
				return out, err
			}
			out.Open = &cell
		}
		if v.Idle > 0 {
			still := *m
			still.c.RatePerS, still.c.Duration = 0, v.Idle
			cost, err := still.idle(ctx)
			if err != nil {
				return out, err
			}
			out.Idle = &cost
		}
		return out, nil
	})
}

// IdleMachine is what the virtual machine of c costs when nobody of ours runs in it, and this process
// while it waits: what Idle of a transport into that machine is to be compared with.
func IdleMachine(ctx context.Context, c Config) (Idleness, error) {
	return inPlace(ctx, c, func(cpus placement, vm *vmRun) (out Idleness, err error) {
		if vm == nil {
			return out, wrong("transport", "%s leads into no virtual machine", c.Transport)
		}
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs(c, cpus.Host)))
		if err := pause(ctx, Settle); err != nil {
			return out, err
		}
		return idleFor(ctx, c.Duration, func() (host, guest time.Duration, err error) {
			if host, err = ownCPUTime(); err == nil {
				guest, err = vm.machine.CPUTime()
			}
			return host, guest, err
		})
	})
}

// idleFor reads both sides' clocks before and after d.
func idleFor(ctx context.Context, d time.Duration, clocks func() (host, guest time.Duration, err error)) (out Idleness, err error) {
	host, guest, err := clocks()
	if err != nil {
		return out, err
	}
	began := time.Now()
	if err := pause(ctx, d); err != nil {
		return out, err
	}
	hostAfter, guestAfter, err := clocks()
	out.ElapsedNs = int64(time.Since(began))
	out.HostCPUNs, out.GuestCPUNs = int64(hostAfter-host), int64(guestAfter-guest)
	return out, err
}
