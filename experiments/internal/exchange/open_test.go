// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"math"
	"testing"
	"time"

	"dx/experiments/internal/stat"
	"dx/go/dx"
)

// Whatever the slices, every call has its place in exactly one, and one caller.
func TestSchedulesHoldEveryCallOnce(t *testing.T) {
	for _, c := range []struct {
		rate    float64
		callers uint64
		slices  []time.Duration
	}{
		{10_000, 1, []time.Duration{500e6, 500e6}},
		{10_000, 7, []time.Duration{500e6, 250e6, 250e6}},
		{3.7, 4, []time.Duration{100e6, 100e6, 100e6, 2e9}},
		{999_983, 64, []time.Duration{1e6, 1, 17e6, 3e6}},
		{0.5, 2, []time.Duration{500e6, 500e6}},
	} {
		seen := map[uint64]int{}
		begin := time.Duration(0)
		for _, d := range c.slices {
			s := newSchedule(Config{RatePerS: c.rate}, begin, d)
			for caller := range c.callers {
				n, count := s.of(caller, c.callers)
				for ; count > 0; count, n = count-1, n+c.callers {
					seen[n]++
					if n%c.callers != caller {
						t.Errorf("caller %d makes call %d", caller, n)
					}
					// The number of nanoseconds is rounded.
					if start := s.start(n); start < -1 || start > d {
						t.Errorf("rate %v: call %d starts %v after the begin of a slice of %v", c.rate, n, start, d)
					}
				}
			}
			begin += d
		}
		want := uint64(math.Ceil(begin.Seconds() * c.rate))
		for n := range want {
			if seen[n] != 1 {
				t.Errorf("rate %v: call %d of %d is made %d times", c.rate, n, want, seen[n])
			}
		}
		if uint64(len(seen)) != want {
			t.Errorf("rate %v: %d calls, not %d", c.rate, len(seen), want)
		}
	}
}

func TestOpenLoopKeepsItsRateInEveryLanguage(t *testing.T) {
	for _, lang := range []string{"go", "c"} {
		for _, pace := range []string{PaceSleep, PaceSpin} {
			t.Run(lang+" "+pace, func(t *testing.T) {
				cell := mustMeasure(t, testConfig(t, func(c *Config) {
					c.Host, c.Guest, c.Pace = lang, lang, pace
					c.RatePerS, c.Threads, c.Duration = 2000, 3, 200*time.Millisecond
				}))
				if cell.Ops+cell.Missed != 400 || cell.RTTSamples != cell.Ops || cell.VerifyFailures != 0 ||
					cell.Rate() != 2000 || cell.Fairness != nil || cell.FloorRatio != nil || cell.ElapsedNs < 200e6 {
					t.Errorf("%+v", cell)
				}
				if pace := cell.PaceCPUSPerMop; pace == nil || *pace <= 0 {
					t.Errorf("waiting for starts costs %v", pace)
				}
				// A machine that is busy leaves so many calls out that there is no median.
				median := cell.IntendedP50Ns != nil && cell.RTTP50Ns != nil
				if median != (cell.Ops >= 200) || median && *cell.IntendedP50Ns < *cell.RTTP50Ns ||
					cell.IntendedP99Ns != nil {
					t.Errorf("from intended %v, from the start %v; %v of %d samples",
						cell.IntendedP50Ns, cell.RTTP50Ns, cell.IntendedP99Ns, cell.Ops)
				}
				l, err := stat.DecodeLatency(cell.IntendedHistogram)
				if err != nil || l.Count() != cell.Ops {
					t.Errorf("histogram of %d, %v", l.Count(), err)
				}
			})
		}
	}
}

// A guest that stalls delays the calls that were to start meanwhile, too: that is
// what distinguishes the time from the intended start.
func TestStallOfTheGuestIsSeenInEveryCallThatItDelays(t *testing.T) {
	for _, lang := range []string{"go", "c"} {
		t.Run(lang, func(t *testing.T) {
			c := testConfig(t, func(c *Config) { c.Host, c.Threads, c.RatePerS = lang, 1, 1000 })
			host, err := openHost(c, nil)
			if err != nil {
				t.Fatal(err)
			}
			guest, err := dx.Attach(context.Background(), memfdOf(host), dx.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			const stall = 50 * time.Millisecond
			go func() {
				served := 0
				ended <- guest.Serve(context.Background(), dx.HandlerFunc(
					func(q *dx.Request, response []byte) (int, int32) {
						if served++; served == 10 {
							for end := time.Now().Add(stall); time.Now().Before(end); {
							}
						}
						return copy(response, q.Data), 0
					}))
			}()
			if err := host.open(c.Payload, false); err != nil {
				t.Fatal(err)
			}
			s, err := host.slice(stretch{d: 100 * time.Millisecond,
				open: newSchedule(c, 0, 100*time.Millisecond)})
			if err != nil {
				t.Fatal(err)
			}
			slow := func(l *stat.Latency) uint64 { return l.CountAbove(int64(stall / 2)) }
			// A busy machine leaves some of the 100 calls out, which those are that would have been delayed,
			// and is slow by itself now and then.
			intended, started := slow(s.intended), slow(s.latency)
			if s.calls[0]+s.missed != 100 || intended+s.missed < 10 || started >= intended+s.missed {
				t.Errorf("%d calls, %d missed; over half of the stall: %d from the intended start, %d from the real one",
					s.calls[0], s.missed, intended, started)
			}
			if err := host.close(); err != nil {
				t.Error(err)
			}
			<-ended
			_ = guest.Close()
		})
	}
}

// A rate that cannot be reached ends in time, and says what was left out.
func TestImpossibleRateIsCutOffAndCounted(t *testing.T) {
	for _, lang := range []string{"go", "c"} {
		c := testConfig(t, func(c *Config) {
			c.Host, c.Guest, c.Threads, c.RatePerS = lang, lang, 2, RateMax
			c.Wait.SpinMin, c.Wait.SpinMax, c.Wait.SpinStart = 0, 0, 0
		})
		cell := mustMeasure(t, c)
		if cell.Missed == 0 || cell.Ops == 0 || cell.Ops+cell.Missed != uint64(RateMax*c.Duration.Seconds()) {
			t.Errorf("%s: %d calls, %d missed", lang, cell.Ops, cell.Missed)
		}
		// All those calls would take far longer.
		if cell.ElapsedNs > int64(10*time.Minute) {
			t.Errorf("%s: it took %v", lang, time.Duration(cell.ElapsedNs))
		}
	}
}

func TestLockedThreadsExchangeVerifiedCalls(t *testing.T) {
	cell := mustMeasure(t, testConfig(t, func(c *Config) { c.LockOSThread = true }))
	if cell.Ops == 0 || cell.VerifyFailures != 0 || !cell.LockOSThread {
		t.Errorf("%+v", cell)
	}
}
