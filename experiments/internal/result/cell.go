// SPDX-License-Identifier: Apache-2.0

// Package result keeps what experiments measured: one line of JSON for every run of every cell of
// the grid, summaries over the runs of a cell, and the table for people that is made of those.
package result

import (
	"fmt"
	"math"
	"strings"
	"time"

	"dx/experiments/internal/env"
	"dx/experiments/internal/stat"
)

// Cell is one line of result.jsonl: one run with one number of callers. A pointer is nil, and null
// in the file, where a figure was not measured or may not be printed; 0 always means zero.
type Cell struct {
	Experiment   string    `json:"experiment"`
	Time         time.Time `json:"time"`                  // start of the run, UTC
	Threads      int       `json:"threads"`               // callers
	Run          int       `json:"run"`                   // 1, 2, ... of this number of callers
	InFlight     int       `json:"in_flight,omitempty"`   // calls of each caller at a time, by a queue
	HandlerNs    int64     `json:"handler_ns,omitempty"`  // what each handler of the guest takes beside the copies
	Concurrency  int       `json:"concurrency,omitempty"` // handlers that run at once; 0: on the serving goroutine
	PayloadBytes int       `json:"payload_bytes"`
	Direction    Direction `json:"direction,omitempty"` // who calls
	Host         string    `json:"host"`                // the host's language
	Guest        string    `json:"guest"`               // the guest's language
	Path         string    `json:"path"`                // native, cgo, ...: which implementation carries the calls
	Transport    string    `json:"transport"`
	// Of a guest in a virtual machine; empty elsewhere.
	Accelerator string `json:"accelerator,omitempty"` // how its instructions are run: kvm, hvf, tcg
	GuestRelax  string `json:"guest_relax,omitempty"` // between its looks, whatever wait says

	// How far apart the two CPUs were meanwhile, and the slices of the rate at that distance; empty
	// where a run is one cell, wherever they were.
	Distance Distance `json:"distance,omitempty"`
	Slices   []Slice  `json:"slices,omitempty"`

	Ops       uint64   `json:"ops"` // successful round trips of all callers
	ElapsedNs int64    `json:"elapsed_ns"`
	OpsPerS   *float64 `json:"ops_per_s"` // by Derive

	RTTSamples uint64 `json:"rtt_samples"`
	RTTP50Ns   *int64 `json:"rtt_p50_ns"` // this and the next ones by SetLatency
	RTTP90Ns   *int64 `json:"rtt_p90_ns"`
	RTTP99Ns   *int64 `json:"rtt_p99_ns"`
	RTTP999Ns  *int64 `json:"rtt_p999_ns"`
	RTTMaxNs   *int64 `json:"rtt_max_ns"`

	FloorRTTNs *float64 `json:"floor_rtt_ns"` // bare cache line, same CPUs, same run
	BareRTTNs  *float64 `json:"bare_rtt_ns"`  // bare loop that copies the same bytes
	FloorRatio *float64 `json:"floor_ratio"`  // rate over that of the floor, by Derive
	BareRatio  *float64 `json:"bare_ratio"`   // rate over that of the bare loop, by Derive

	Fairness   *float64 `json:"fairness"`      // slowest caller's operations / fastest caller's
	CPUSPerMop *float64 `json:"cpu_s_per_mop"` // CPU seconds of both sides per million operations

	Errors         uint64 `json:"errors"`   // failed calls, timeouts included
	Timeouts       uint64 `json:"timeouts"` // calls that failed by their deadline
	Verified       bool   `json:"verified"` // the content of every call was checked
	VerifyFailures uint64 `json:"verify_failures"`

	Waits     Waits  `json:"waits"`
	Wait      any    `json:"wait"`           // the wait strategy in full
	Park      string `json:"park,omitempty"` // how the host really slept: futex, sem, poll, doorbell; empty: not known
	Pinning   string `json:"pinning"`
	Procs     int    `json:"procs"` // GOMAXPROCS of a Go side; 0 where no side is Go
	EnvCommit string `json:"env_commit"`

	LockOSThread bool  `json:"lock_os_thread"` // each goroutine on a thread of its own
	DurationNs   int64 `json:"duration_ns"`    // asked for; ElapsedNs is what it took

	// Of an open loop; nil and empty in a closed one. In an open loop ops_per_s is
	// the rate that was reached, rtt_* begin when a call really started, and
	// latency_from_intended_* when it was to start.
	RatePerS *float64 `json:"rate_per_s"` // asked for, of all callers
	Pace     string   `json:"pace,omitempty"`
	Missed   uint64   `json:"missed,omitempty"` // calls that were never started, for lack of time
	// Host's CPU seconds per million starts for waiting for them without a call, same run: a part of CPUSPerMop.
	PaceCPUSPerMop    *float64 `json:"pace_cpu_s_per_mop,omitempty"`
	IntendedP50Ns     *int64   `json:"latency_from_intended_p50_ns,omitempty"`
	IntendedP90Ns     *int64   `json:"latency_from_intended_p90_ns,omitempty"`
	IntendedP99Ns     *int64   `json:"latency_from_intended_p99_ns,omitempty"`
	IntendedP999Ns    *int64   `json:"latency_from_intended_p999_ns,omitempty"`
	IntendedMaxNs     *int64   `json:"latency_from_intended_max_ns,omitempty"`
	LateStartP50Ns    *int64   `json:"late_start_p50_ns,omitempty"` // from the intended start to the real one
	LateStartP99Ns    *int64   `json:"late_start_p99_ns,omitempty"`
	RTTHistogram      string   `json:"rtt_histogram,omitempty"` // HDR, V2 compressed, base64
	IntendedHistogram string   `json:"latency_from_intended_histogram,omitempty"`

	// Of a sweep; empty elsewhere.
	Variant string           `json:"variant,omitempty"`  // what its file varies, but for the number of callers
	Preset  string           `json:"preset,omitempty"`   // what the wait strategy began with
	CellKey string           `json:"cell_key,omitempty"` // names the file's name and all parameters
	Env     *env.Environment `json:"environment,omitempty"`
}

// Direction is who begins: calls, or sends frames. Results without one are of HostToGuest.
type Direction string

// The directions, as flags and results spell them.
const (
	HostToGuest = "host-guest"
	GuestToHost = "guest-host"
)

// UnmarshalText knows the spelling of older results of frames, too: host_to_guest.
func (d *Direction) UnmarshalText(text []byte) error {
	*d = Direction(strings.Replace(string(text), "_to_", "-", 1))
	return nil
}

// Waits holds how each side's waits ended; nil for a side that keeps no counters.
type Waits struct {
	Host  *WaitCounts `json:"host"`
	Guest *WaitCounts `json:"guest"`
}

// WaitCounts are counters of the wait strategy during one run, named as in struct dx_stats.
type WaitCounts struct {
	Spin      uint64 `json:"spin"`
	Yield     uint64 `json:"yield"`
	Park      uint64 `json:"park"`
	Looks     uint64 `json:"looks"`
	Parks     uint64 `json:"parks"`
	Spurious  uint64 `json:"spurious"`
	Rings     uint64 `json:"rings"`
	Rescued   uint64 `json:"rescued"`
	Yields    uint64 `json:"yields"`
	SpinLimit uint64 `json:"spin_limit"` // a gauge: the limit at the end of the run
}

// Shares returns which part of the waits ended while spinning, after a yield, and after a park was
// begun: fractions that sum to 1. It is not ok if there were no waits.
func (w WaitCounts) Shares() (spin, yield, park float64, ok bool) {
	all := float64(w.Spin) + float64(w.Yield) + float64(w.Park)
	if all == 0 {
		return 0, 0, 0, false
	}
	return float64(w.Spin) / all, float64(w.Yield) / all, float64(w.Park) / all, true
}

// Add adds the counters of other waits, where there are any.
func (w *Waits) Add(other Waits) {
	for _, side := range []struct{ to, from **WaitCounts }{{&w.Host, &other.Host}, {&w.Guest, &other.Guest}} {
		if *side.from == nil {
			continue
		}
		sum := WaitCounts{}
		if *side.to != nil {
			sum = **side.to
		}
		sum.add(**side.from)
		*side.to = &sum
	}
}

// add sums counters up; of the gauge it keeps the largest.
func (w *WaitCounts) add(other WaitCounts) {
	w.Spin += other.Spin
	w.Yield += other.Yield
	w.Park += other.Park
	w.Looks += other.Looks
	w.Parks += other.Parks
	w.Spurious += other.Spurious
	w.Rings += other.Rings
	w.Rescued += other.Rescued
	w.Yields += other.Yields
	w.SpinLimit = max(w.SpinLimit, other.SpinLimit)
}

// Derive sets OpsPerS from Ops and ElapsedNs, and the ratios from that and the round trips of the
// floor and the bare loop: the rate times the round trip in seconds, whatever the number of callers.
// The rate of an open loop was asked for and has no ratio, and neither has one whose CPUs moved.
func (c *Cell) Derive() {
	rate := stat.Rate(c.Ops, c.ElapsedNs)
	over := func(rttNs *float64) *float64 {
		if rttNs == nil || c.RatePerS != nil || c.Distance == Moved {
			return nil
		}
		return known(new(rate * *rttNs / 1e9))
	}
	c.OpsPerS = known(&rate)
	c.FloorRatio = over(c.FloorRTTNs)
	c.BareRatio = over(c.BareRTTNs)
}

// SetLatency fills in the number of samples, the percentiles for which they suffice, the longest
// round trip, and the histogram.
func (c *Cell) SetLatency(l *stat.Latency) {
	c.RTTSamples = l.Count()
	c.RTTP50Ns, c.RTTP90Ns = quantile(l, 0.5), quantile(l, 0.9)
	c.RTTP99Ns, c.RTTP999Ns = quantile(l, 0.99), quantile(l, 0.999)
	c.RTTMaxNs, c.RTTHistogram = longest(l), encoded(l)
}

// SetIntended does the same for an open loop: times from the intended starts, and from those to the
// real ones.
func (c *Cell) SetIntended(l, late *stat.Latency) {
	c.IntendedP50Ns, c.IntendedP90Ns = quantile(l, 0.5), quantile(l, 0.9)
	c.IntendedP99Ns, c.IntendedP999Ns = quantile(l, 0.99), quantile(l, 0.999)
	c.IntendedMaxNs, c.IntendedHistogram = longest(l), encoded(l)
	c.LateStartP50Ns, c.LateStartP99Ns = quantile(late, 0.5), quantile(late, 0.99)
}

func quantile(l *stat.Latency, q float64) *int64 {
	if ns, ok := l.Quantile(q); ok {
		return &ns
	}
	return nil
}

func longest(l *stat.Latency) *int64 {
	if l.Count() == 0 {
		return nil
	}
	return new(l.Max())
}

// encoded leaves out a histogram that cannot be written: the percentiles are there.
func encoded(l *stat.Latency) string {
	if l.Count() == 0 {
		return ""
	}
	text, err := l.Encode()
	if err != nil {
		return ""
	}
	return text
}

// netCPUSPerMop is the CPU time of the calls of an open loop, without that of waiting for
// their starts; not below 0, where it is noise.
func (c Cell) netCPUSPerMop() *float64 {
	if c.CPUSPerMop == nil || c.PaceCPUSPerMop == nil {
		return nil
	}
	return new(max(0, *c.CPUSPerMop-*c.PaceCPUSPerMop))
}

// Rate returns the rate of an open loop; 0 in a closed one.
func (c Cell) Rate() float64 {
	if c.RatePerS == nil {
		return 0
	}
	return *c.RatePerS
}

// Failed says whether this run makes the program fail: a content that was not what was sent.
// Calls that failed openly are counted in Errors.
func (c Cell) Failed() bool { return c.VerifyFailures > 0 }

// Wrong is an error if calls failed or answers were wrong.
func (c Cell) Wrong() error {
	if c.Errors > 0 || c.Failed() {
		return fmt.Errorf("%d failed calls, %d wrong answers", c.Errors, c.VerifyFailures)
	}
	return nil
}

// known returns nil for what is no number, since JSON has none of those.
func known(x *float64) *float64 {
	if x == nil || math.IsNaN(*x) || math.IsInf(*x, 0) {
		return nil
	}
	return x
}
