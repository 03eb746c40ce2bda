// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
	"dx/experiments/peers/contract"
)

// idleRun is one line of idle.jsonl: what a peer costs while nobody calls, and the call after that.
type idleRun struct {
	Peer        string `json:"peer"`
	Run         int    `json:"run"`
	ElapsedNs   int64  `json:"elapsed_ns"`
	CPUNs       int64  `json:"cpu_ns"`        // of both processes
	Wakeups     uint64 `json:"wakeups"`       // of all threads of both, after sleeps of any kind
	FirstCallNs int64  `json:"first_call_ns"` // of the first call afterwards
	EnvCommit   string `json:"env_commit"`
}

const (
	idleName = "idle.jsonl"
	// settle is how long a side takes until it waits as it will from then on.
	settle = 1500 * time.Millisecond
	// oneCall is the length of a schedule that has one call, at its begin.
	oneCall = 500 * time.Millisecond
)

// idle lets a pair that has just made calls lie idle, and makes one call then.
func (m *measuring) idle(ctx context.Context, p *pair, kind peerKind, run int) error {
	if err := await(ctx, settle); err != nil {
		return err
	}
	one := idleRun{Peer: kind.name, Run: run, EnvCommit: m.commit}
	wakeups, err := p.wakeups()
	if err != nil {
		return err
	}
	cpu, err := p.cpuTime()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := await(ctx, m.c.idle); err != nil {
		return err
	}
	one.ElapsedNs = int64(time.Since(began))
	cpuAfter, err := p.cpuTime()
	if err != nil {
		return err
	}
	wakeupsAfter, err := p.wakeups()
	if err != nil {
		return err
	}
	one.CPUNs, one.Wakeups = int64(cpuAfter-cpu), wakeupsAfter-wakeups
	r, err := p.carryOut(ctx, contract.Order{Duration: oneCall, Timed: true, RatePerS: 1})
	if err != nil {
		return err
	}
	if len(r.RoundTrips) != 1 || r.Errors > 0 {
		return fmt.Errorf("after it was idle: %d calls, %d of them failed", len(r.RoundTrips), r.Errors)
	}
	one.FirstCallNs = int64(r.RoundTrips[0][0])
	m.l.idle = append(m.l.idle, one)
	return m.w.idle.WriteLine(one)
}

func await(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wakeups are those of both sides until now.
func (p *pair) wakeups() (uint64, error) {
	client, errClient := peer.Wakeups(p.client.Cmd.Process.Pid)
	server, errServer := peer.Wakeups(p.server.Cmd.Process.Pid)
	return client + server, errors.Join(errClient, errServer)
}

// idleLines has a line for each peer.
func idleLines(l log) []string {
	lines := []string{"peer\truns\tCPU\tmin\tmax\twake-ups/s\tmin\tmax\tfirst call\tmin\tmax\t"}
	for _, p := range all {
		var shares, wakeups, first []float64
		for _, one := range l.idle {
			if one.Peer == p.name {
				shares = append(shares, float64(one.CPUNs)/float64(one.ElapsedNs))
				wakeups = append(wakeups, stat.Rate(one.Wakeups, one.ElapsedNs))
				first = append(first, float64(one.FirstCallNs))
			}
		}
		if len(first) > 0 {
			lines = append(lines, fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t", p.name, len(first), threeOf(shares, percent),
				threeOf(wakeups, result.FormatSig3), threeOf(first, result.FormatNs)))
		}
	}
	return lines
}

// threeOf are median, smallest and largest.
func threeOf(values []float64, format func(float64) string) string {
	return format(stat.Median(values)) + "\t" + format(slices.Min(values)) + "\t" + format(slices.Max(values))
}

func percent(share float64) string { return fmt.Sprintf("%.2f%%", 100*share) }
