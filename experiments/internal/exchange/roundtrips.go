// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"os"
	"runtime"
	"time"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// RoundTrips is Measure for what takes long and costs little: every call is timed,
// until there are so many samples or c.Duration has passed, and the cost is that
// of these very calls.
func RoundTrips(ctx context.Context, c Config, samples uint64) (result.Cell, error) {
	return withPeers(ctx, c, func(m *measurement, ctx context.Context) (result.Cell, error) {
		return m.roundTrips(ctx, samples, 0)
	})
}

// roundTrips goes on for least, whatever there is of samples by then.
func (m *measurement) roundTrips(ctx context.Context, samples uint64, least time.Duration) (result.Cell, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs(m.c, m.cpus.Host)))
	if err := m.begin(); err != nil {
		return result.Cell{}, err
	}
	f, err := m.floors()
	if err != nil {
		return result.Cell{}, err
	}
	sum := newTally(m.c.Threads)
	sum.line.add(f.line)
	sum.loop.add(f.loop)
	for sum.elapsed < m.c.Duration && (sum.timed() < samples || sum.elapsed < least) {
		left := m.c.Duration - sum.elapsed
		var t *tally
		if m.open() {
			t, err = m.scheduled(min(openSliceTime, left))
		} else {
			t, err = m.costed(stretch{d: min(sliceTime, left), timed: true})
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return result.Cell{}, err
		}
		sum.merge(t)
	}
	return m.cell(sum), sum.complete()
}

// Idleness is what a channel costs on which nobody calls.
type Idleness struct {
	ElapsedNs  int64  `json:"elapsed_ns"`
	HostCPUNs  int64  `json:"host_cpu_ns"` // of the whole process
	GuestCPUNs int64  `json:"guest_cpu_ns"`
	GuestParks uint64 `json:"guest_parks"` // sleeps that its server began
	Wakeups    uint64 `json:"wakeups"`     // of all threads of both processes, after sleeps of any kind
}

// Settle is how long the sleeps take to become as long as they will be: 20 + 40 + ... + 640 ms.
const Settle = 1500 * time.Millisecond

// Idle makes calls for a moment, so that both sides are where they are after
// calls, and then none for c.Duration.
func Idle(ctx context.Context, c Config) (Idleness, error) {
	return withPeers(ctx, c, (*measurement).idle)
}

func (m *measurement) idle(ctx context.Context) (Idleness, error) {
	var out Idleness
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs(m.c, m.cpus.Host)))
	if err := m.begin(); err != nil {
		return out, err
	}
	if err := pause(ctx, Settle); err != nil {
		return out, err
	}
	parks := m.host.stats(dx.GuestServers).Parks
	wakeups, err := m.wakeups() // before and after the clocks, so that it costs nothing by them
	if err != nil {
		return out, err
	}
	if out, err = idleFor(ctx, m.c.Duration, m.cpuTimes); err != nil {
		return out, err
	}
	out.GuestParks = m.host.stats(dx.GuestServers).Parks - parks
	after, err := m.wakeups()
	out.Wakeups = after - wakeups
	return out, err
}

// wakeups is how often the threads of both processes gave their CPU away to sleep,
// and were woken, until now.
func (m *measurement) wakeups() (uint64, error) {
	all, err := peer.Wakeups(os.Getpid())
	if p, ok := m.guest.(peer.Beside); ok && err == nil {
		var more uint64
		more, err = peer.Wakeups(p.Cmd.Process.Pid)
		all += more
	}
	return all, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
