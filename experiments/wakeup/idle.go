// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/floor"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/progress"
	"dx/go/dx"
	"dx/vm/child"
)

// idleRole is the host of a channel that lies idle, or the parent of a process that only sleeps. It
// says what that cost.
var idleRole = peer.Of("idle", func(p pair) error {
	cost, err := p.idle()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(cost)
})

// idle lets it lie idle in this process and its child.
func (p pair) idle() (exchange.Idleness, error) {
	if p.Nap == 0 {
		return exchange.Idle(context.Background(), p.Config)
	}
	n, err := floor.Nap(p.Nap, exchange.Settle, p.Config.Duration)
	return exchange.Idleness{ElapsedNs: int64(n.Elapsed), GuestCPUNs: int64(n.CPU),
		GuestParks: n.Sleeps, Wakeups: n.Sleeps}, err
}

// idleRun is one line of idle.jsonl.
type idleRun struct {
	Name      string `json:"park"`
	Side      string `json:"side"`
	Transport string `json:"transport"`
	Run       int    `json:"run"`
	Bare      bool   `json:"bare"` // no channel
	exchange.Idleness
	EnvCommit string `json:"env_commit"`
}

// idleRuns is the number of steps of the idle part.
func (c config) idleRuns() int {
	if c.idle == 0 {
		return 0
	}
	return c.repeats
}

// measureIdle lets channels lie idle side by side, since none of them should do
// anything that another could notice; those that poll do, and have a turn of their own.
func measureIdle(ctx context.Context, c config, e env.Environment, bar *progress.Bar) (all []idleRun, err error) {
	log, err := os.OpenFile(filepath.Join(c.out, "idle.jsonl"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	for run := 1; run <= c.idleRuns(); run++ {
		bar.Describe(fmt.Sprintf("idle, run %d of %d", run, c.repeats))
		rung, polled := c.turns()
		costs, err := idleSideBySide(ctx, rung, c)
		if err == nil {
			var more []exchange.Idleness
			more, err = idleSideBySide(ctx, polled, c)
			costs = append(costs, more...)
		}
		if ctx.Err() != nil {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		for i, p := range append(rung, polled...) {
			one := idleRun{p.Name, p.Config.Host, p.Config.Transport, run, p.Nap != 0, costs[i], e.Commit()}
			line, err := json.Marshal(one)
			if err == nil {
				_, err = log.Write(append(line, '\n'))
			}
			if err != nil {
				return all, err
			}
			all = append(all, one)
		}
		bar.Add(1)
	}
	return all, nil
}

// turns parts what sleeps long, the bare sleepers and the channels whose sides are
// rung, from those that poll.
func (c config) turns() (rung, polled []pair) {
	rung = c.naps()
	for _, p := range c.pairs() {
		if p.Config.Wait.Park == dx.ParkPoll {
			polled = append(polled, p)
		} else {
			rung = append(rung, p)
		}
	}
	return rung, polled
}

func idleSideBySide(ctx context.Context, pairs []pair, c config) ([]exchange.Idleness, error) {
	costs, errs := make([]exchange.Idleness, len(pairs)), make([]error, len(pairs))
	var running sync.WaitGroup
	for i, p := range pairs {
		running.Go(func() {
			if costs[i], errs[i] = idlePair(ctx, p, c); errs[i] != nil {
				errs[i] = fmt.Errorf("%s, %s, %s: %w", p.Name, p.Config.Host, p.Config.Transport, errs[i])
			}
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return costs, nil
}

// idlePair starts the processes of one channel, and ends them if the context does.
func idlePair(ctx context.Context, p pair, c config) (cost exchange.Idleness, err error) {
	dir, err := os.MkdirTemp("", "dx-wakeup-")
	if err != nil {
		return cost, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p.Config.Dir, p.Config.Duration, p.Config.Pin = dir, c.idle, "none"
	var out bytes.Buffer
	cmd, err := idleRole.Command(p)
	if err != nil {
		return cost, err
	}
	cmd.Stdout = &out
	exited, err := child.Start(cmd)
	if err != nil {
		return cost, err
	}
	select {
	case err = <-exited:
	case <-ctx.Done():
		_ = cmd.Process.Kill() // its guest dies with it
		<-exited
		return cost, ctx.Err()
	}
	if err != nil {
		return cost, err
	}
	return cost, json.Unmarshal(out.Bytes(), &cost)
}
