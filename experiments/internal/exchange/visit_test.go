// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestOneVisitMeasuresCallsAScheduleAndNoCalls(t *testing.T) {
	for _, side := range []string{"c", "go"} {
		c := testConfig(t, func(c *Config) {
			c.Threads, c.Host, c.Guest, c.RatePerS, c.Duration = 1, side, side, 500, time.Minute
		})
		v := Visit{Samples: 1, Least: 150 * time.Millisecond, Scheduled: 200 * time.Millisecond, Idle: 50 * time.Millisecond}
		got, err := v.Measure(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		if got.Closed.RatePerS != nil || got.Closed.RTTSamples == 0 || got.Closed.ElapsedNs < int64(v.Least) {
			t.Errorf("%s, closed loop: %d samples in %d ns", side, got.Closed.RTTSamples, got.Closed.ElapsedNs)
		}
		if got.Open == nil || got.Open.Rate() != 500 || got.Open.Ops+got.Open.Missed != 100 || got.Open.PaceCPUSPerMop == nil {
			t.Errorf("%s, open loop: %+v", side, got.Open)
		}
		if got.Idle == nil || got.Idle.ElapsedNs < int64(v.Idle) {
			t.Errorf("%s, idle: %+v", side, got.Idle)
		}
		if wrong := got.Closed.VerifyFailures + got.Closed.Errors + got.Open.VerifyFailures + got.Open.Errors; wrong != 0 {
			t.Errorf("%s: %d calls went wrong", side, wrong)
		}
	}
}

func TestAVisitLeavesOutWhatIsZero(t *testing.T) {
	c := testConfig(t, func(c *Config) { c.Threads = 1 })
	got, err := Visit{Samples: 1}.Measure(context.Background(), c)
	if err != nil || got.Open != nil || got.Idle != nil || got.Closed.RTTSamples == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := (Visit{Scheduled: time.Second}).Measure(context.Background(), c); err == nil {
		t.Error("a schedule without a rate is no error")
	}
}

func TestAMachineThatIsNoneCannotLieIdle(t *testing.T) {
	_, err := IdleMachine(context.Background(), testConfig(t, func(*Config) {}))
	if field, ok := errors.AsType[*FieldError](err); !ok || field.Field != "transport" {
		t.Errorf("%v", err)
	}
}

func TestBareDoorbellTakesNothingBeside(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"right":  func(*Config) {},
		"in go":  func(c *Config) { c.Guest = "go" },
		"verify": func(c *Config) { c.Verify = true },
		"many":   func(c *Config) { c.Threads = 2 },
		"open":   func(c *Config) { c.RatePerS = 10 },
	} {
		c := Default()
		c.Transport, c.Host, c.Guest = TransportBell, "c", "c"
		change(&c)
		if err := c.Check(); (err == nil) != (name == "right") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
