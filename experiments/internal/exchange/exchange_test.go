// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// TestMain lets the test program be the guest that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

// testConfig is two callers, shortly and verified.
func testConfig(t *testing.T, change func(*Config)) Config {
	t.Helper()
	c := Default()
	c.Threads, c.Duration, c.Verify, c.Dir = 2, 20*time.Millisecond, true, t.TempDir()
	change(&c)
	return c
}

func mustMeasure(t *testing.T, c Config) result.Cell {
	t.Helper()
	cell, err := Measure(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return cell
}

// memfdOf is where a guest in this process finds the region.
func memfdOf(host load) string { return fmt.Sprintf("memfd:%d", host.fd()) }

func TestEveryPairOfLanguagesExchangesVerifiedCalls(t *testing.T) {
	for _, transport := range []string{"memfd", "shm", "file", "unix"} {
		for _, pair := range []struct{ host, guest, path string }{
			{"c", "c", "native"},
			{"c", "go", "native"},
			{"go", "c", "native"},
			{"go", "go", "native"},
			{"go", "go", "cgo"},
			{"c", "go", "cgo"},
		} {
			t.Run(fmt.Sprint(transport, pair), func(t *testing.T) {
				cell := mustMeasure(t, testConfig(t, func(c *Config) {
					c.Host, c.Guest, c.Path = pair.host, pair.guest, pair.path
					c.Threads, c.Transport, c.Payload = 3, transport, 61
				}))
				if cell.Errors != 0 || cell.VerifyFailures != 0 || !cell.Verified || cell.Ops == 0 ||
					cell.FloorRTTNs == nil || cell.BareRTTNs == nil || cell.RTTSamples == 0 {
					t.Errorf("%+v", cell)
				}
			})
		}
	}
}

func TestGuestsOfBothLanguagesCallTheirHost(t *testing.T) {
	for _, transport := range []string{"memfd", "shm", "file", "unix"} {
		for _, side := range []struct{ guest, path string }{{"c", "native"}, {"go", "native"}, {"go", "cgo"}} {
			t.Run(fmt.Sprint(transport, side), func(t *testing.T) {
				cell := mustMeasure(t, testConfig(t, func(c *Config) {
					c.Direction, c.Guest, c.Path = result.GuestToHost, side.guest, side.path
					c.Threads, c.Transport, c.Payload = 3, transport, 61
				}))
				w := cell.Waits
				if cell.Errors != 0 || cell.VerifyFailures != 0 || !cell.Verified || cell.Ops == 0 || cell.RTTSamples == 0 ||
					cell.Direction != result.GuestToHost || w.Guest.Looks == 0 || w.Host.Looks == 0 {
					t.Errorf("%+v", cell)
				}
			})
		}
	}
}

func TestEachSliceCountsForTheDistanceBetweenItsFloors(t *testing.T) {
	cells, err := MeasureByDistance(t.Context(), testConfig(t, func(c *Config) {
		c.Host, c.Guest, c.Threads, c.Duration = "c", "c", 2, 3*sliceTime
	}))
	if err != nil {
		t.Fatal(err)
	}
	slices := 0
	for _, cell := range cells {
		ops := uint64(0)
		for _, s := range cell.Slices {
			slices++
			ops += s.Ops
			if d := result.DistanceOf(s.FloorBeforeNs, s.FloorAfterNs); d != cell.Distance || s.ElapsedNs <= 0 || s.BareAfterNs <= 0 {
				t.Errorf("%+v, %s, is among those of %s", s, d, cell.Distance)
			}
		}
		if ops != cell.Ops || cell.VerifyFailures+cell.Errors != 0 || !cell.Verified {
			t.Errorf("%+v", cell)
		}
	}
	if slices != 3 {
		t.Errorf("%d slices of 3: %+v", slices, cells)
	}
}

// Its callers may be far away, but what they find is known here.
func TestWrongAnswersToAGuestAreFound(t *testing.T) {
	r := report(&wrongLoad{}, farOrder{Duration: time.Millisecond, Timed: true})
	s, err := r.slice(stretch{timed: true})
	if err != nil || s.verifyFailures != 2 || s.errors != 3 || s.timeouts != 4 || s.latency.Max() != 5 || s.calls[0] != 6 {
		t.Errorf("%+v, %v", s, err)
	}
}

type wrongLoad struct{ load }

func (*wrongLoad) slice(of stretch) (slice, error) {
	s := newSlice(of)
	s.calls, s.verifyFailures, s.errors, s.timeouts = []uint64{6}, 2, 3, 4
	s.latency.Record(5)
	return s, nil
}

func TestGuestThatDiesWhileItCallsIsAnError(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Direction, c.Duration = result.GuestToHost, time.Minute })
	_, err := withPeers(context.Background(), c, func(m *measurement, _ context.Context) (bool, error) {
		p := m.guest.(peer.Beside)
		time.AfterFunc(50*time.Millisecond, func() { _ = p.Cmd.Process.Kill() })
		_, err := m.host.slice(stretch{d: time.Minute})
		if !errors.Is(err, dx.ErrPeerDead) {
			t.Error(err)
		}
		return true, nil
	})
	if err == nil {
		t.Error("a guest that was killed ended well")
	}
}

func TestEveryWaitStrategyExchangesVerifiedCalls(t *testing.T) {
	preset := func(name string) func(*dx.Wait) {
		return func(w *dx.Wait) {
			var err error
			if *w, err = dx.Preset(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	noSpin := func(w *dx.Wait) { w.SpinMin, w.SpinMax, w.SpinStart = 0, 0, 0 }
	for name, change := range map[string]func(*dx.Wait){
		"latency": preset("latency"), "balanced": preset("balanced"),
		"throughput": preset("throughput"), "low-power": preset("low-power"),
		"sem":             func(w *dx.Wait) { w.Park = dx.ParkSem },
		"poll":            func(w *dx.Wait) { w.Park = dx.ParkPoll },
		"never":           func(w *dx.Wait) { w.Park = dx.ParkNever },
		"no spin":         noSpin,
		"no spin, sem":    func(w *dx.Wait) { noSpin(w); w.Park = dx.ParkSem },
		"no relax":        func(w *dx.Wait) { w.Relax = dx.RelaxNone },
		"cost":            func(w *dx.Wait) { w.Adapt = dx.AdaptCost },
		"fixed, no yield": func(w *dx.Wait) { w.Adapt, w.YieldEvery = dx.AdaptOff, 0 },
	} {
		for _, side := range []string{"go", "c"} {
			t.Run(side+" "+name, func(t *testing.T) {
				cell := mustMeasure(t, testConfig(t, func(c *Config) {
					c.Host, c.Guest = side, side
					change(&c.Wait)
				}))
				if cell.Errors != 0 || cell.VerifyFailures != 0 || cell.Ops == 0 {
					t.Errorf("%+v", cell)
				}
			})
		}
	}
}

// A guest that says how long its answer is but never writes it must be found.
func TestVerificationFindsAnAnswerThatWasNeverCopied(t *testing.T) {
	c := testConfig(t, func(*Config) {})
	host, err := openHost(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	guest, err := dx.Attach(context.Background(), memfdOf(host), dx.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- guest.Serve(context.Background(), dx.HandlerFunc(
			func(q *dx.Request, _ []byte) (int, int32) { return len(q.Data), 0 }))
	}()
	if err := host.open(c.Payload, true); err != nil {
		t.Fatal(err)
	}
	s, err := host.slice(stretch{d: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	calls := s.calls[0] + s.calls[1]
	if calls == 0 || s.verifyFailures != calls {
		t.Errorf("%d calls, %d found wrong", calls, s.verifyFailures)
	}
	if err := host.close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, dx.ErrPeerClosed) {
		t.Error(err)
	}
	_ = guest.Close()
}

func TestImpossibleConfigurationsNameTheirField(t *testing.T) {
	for _, wrong := range []struct {
		field  string
		change func(*Config)
	}{
		{"threads", func(c *Config) { c.Threads = 0 }},
		{"payload", func(c *Config) { c.Payload = PayloadMax + 1 }},
		{"verify", func(c *Config) { c.Payload = 7 }},
		{"duration", func(c *Config) { c.Duration = 1 }},
		{"host", func(c *Config) { c.Host = "rust" }},
		{"direction", func(c *Config) { c.Direction = "" }},
		{"direction", func(c *Config) { c.Direction, c.Host = result.GuestToHost, "c" }},
		{"direction", func(c *Config) { c.Direction, c.RatePerS = result.GuestToHost, 1 }},
		{"guest", func(c *Config) { c.Guest = "" }},
		{"path", func(c *Config) { c.Path = "fast" }},
		{"path", func(c *Config) { c.Host, c.Guest, c.Path = "c", "c", "cgo" }},
		{"transport", func(c *Config) { c.Transport = "tcp" }},
		{"pin", func(c *Config) { c.Pin = "yes" }},
		{"procs", func(c *Config) { c.Procs = -1 }},
		{"park", func(c *Config) { c.Wait.Park = 4 }},
	} {
		err := testConfig(t, wrong.change).Check()
		if field, ok := errors.AsType[*FieldError](err); !ok || field.Field != wrong.field {
			t.Errorf("%s: %v", wrong.field, err)
		}
	}
	if err := testConfig(t, func(c *Config) { c.Wait.SpinMax = 2e9 }).Check(); err == nil {
		t.Error("a wait strategy that cannot be passes")
	}
}
