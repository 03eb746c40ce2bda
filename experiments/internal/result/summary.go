// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"dx/experiments/internal/stat"
)

// Key is what the runs of one cell have in common.
type Key struct {
	Experiment   string
	Transport    string // and the accelerator of a virtual machine, and that the guest calls
	Path         string
	Host         string
	Guest        string
	PayloadBytes int
	Threads      int
	Variant      string  // of a sweep
	RatePerS     float64 // of an open loop; 0 in a closed one
	InFlight     int     // calls of each caller at a time, by a queue; 0: blocking calls
	Handlers     string  // what they take, and how many run at once; "": at once, on the serving goroutine
	Distance     Distance
}

// KeyOf returns what a cell has in common with its other runs.
func KeyOf(c Cell) Key {
	transport := c.Transport
	if c.Accelerator != "" {
		transport += " under " + c.Accelerator
	}
	if c.Direction == GuestToHost {
		transport += ", the guest calls"
	}
	return Key{c.Experiment, transport, c.Path, c.Host, c.Guest, c.PayloadBytes, c.Threads, c.Variant, c.Rate(), c.InFlight, handlersOf(c), c.Distance}
}

func handlersOf(c Cell) string {
	switch {
	case c.HandlerNs == 0 && c.Concurrency <= 1:
		return ""
	case c.Concurrency <= 1:
		return fmt.Sprintf("handlers of %v, one at a time", time.Duration(c.HandlerNs))
	}
	return fmt.Sprintf("handlers of %v, up to %d at once", time.Duration(c.HandlerNs), c.Concurrency)
}

// Title names everything but the number of callers, for people.
func (k Key) Title() string {
	var parts []string
	for _, part := range []struct{ what, value string }{
		{"", k.Variant}, {"host", k.Host}, {"guest", k.Guest}, {"path", k.Path}, {"transport", k.Transport},
	} {
		if part.value != "" {
			parts = append(parts, strings.TrimSpace(part.what+" "+part.value))
		}
	}
	parts = append(parts, FormatBytes(k.PayloadBytes))
	if k.RatePerS > 0 {
		parts = append(parts, "open loop at "+FormatRate(k.RatePerS))
	}
	if k.InFlight > 0 {
		parts = append(parts, fmt.Sprintf("%d in flight", k.InFlight))
	}
	if k.Handlers != "" {
		parts = append(parts, k.Handlers)
	}
	if k.Distance != "" {
		parts = append(parts, k.Distance.Title())
	}
	return k.Experiment + ": " + strings.Join(parts, ", ")
}

// Range is a figure over the runs of a cell. Known is false, and the rest 0, unless every run has
// the figure: the median of those that happen to have it would be a choice.
type Range struct {
	Median, Min, Max float64
	Low, High        float64 // of the middle half of the runs
	Known            bool
}

// Summary is all runs of one cell.
type Summary struct {
	Key
	Runs   int
	Slices int // of which the figures of a distance are; 0 elsewhere

	OpsPerS Range
	// Percentiles of the round trip in ns: over the runs' percentiles, which do not add up to a
	// percentile of all calls. MaxNs.Max is the longest of all.
	P50Ns, P90Ns, P99Ns, P999Ns, MaxNs Range
	// Of an open loop: the same from the intended starts.
	IntendedP50Ns, IntendedP90Ns, IntendedP99Ns, IntendedP999Ns, IntendedMaxNs Range

	FloorRTTNs, BareRTTNs Range
	FloorRatio, BareRatio Range
	Fairness, CPUSPerMop  Range
	// Of an open loop: the parts of CPUSPerMop for waiting for the starts, and for the calls.
	PaceCPUSPerMop, NetCPUSPerMop Range

	// Sums over all runs.
	Ops, Errors, Timeouts, VerifyFailures, Missed uint64
	// Verified is true if all runs were.
	Verified bool
	// Waits are summed, too; nil unless every run has them.
	Waits Waits
	// Mixed names what was not the same in all runs although the table puts them together: "wait",
	// "pinning", "procs", "lock_os_thread", "env_commit".
	Mixed []string
}

// Summarise groups cells by experiment, transport, path, host, guest, payload, variant, rate,
// calls in flight, distance and callers, and returns one Summary for each in that order.
func Summarise(cells []Cell) []Summary {
	groups := map[Key][]Cell{}
	for _, c := range cells {
		groups[KeyOf(c)] = append(groups[KeyOf(c)], c)
	}
	summaries := make([]Summary, 0, len(groups))
	for key, group := range groups {
		summaries = append(summaries, summarise(key, group))
	}
	slices.SortFunc(summaries, func(a, b Summary) int { return compareKeys(a.Key, b.Key) })
	return summaries
}

func compareKeys(a, b Key) int {
	return cmp.Or(
		cmp.Compare(a.Experiment, b.Experiment),
		cmp.Compare(a.Transport, b.Transport),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Host, b.Host),
		cmp.Compare(a.Guest, b.Guest),
		cmp.Compare(a.PayloadBytes, b.PayloadBytes),
		cmp.Compare(a.Variant, b.Variant),
		cmp.Compare(a.RatePerS, b.RatePerS),
		cmp.Compare(a.InFlight, b.InFlight),
		cmp.Compare(a.Handlers, b.Handlers),
		cmp.Compare(slices.Index(Distances, a.Distance), slices.Index(Distances, b.Distance)),
		cmp.Compare(a.Threads, b.Threads),
	)
}

func summarise(key Key, cells []Cell) Summary {
	s := Summary{
		Key:     key,
		Runs:    len(cells),
		OpsPerS: rangeOf(cells, func(c Cell) *float64 { return c.OpsPerS }),
		P50Ns:   rangeOf(cells, func(c Cell) *int64 { return c.RTTP50Ns }),
		P90Ns:   rangeOf(cells, func(c Cell) *int64 { return c.RTTP90Ns }),
		P99Ns:   rangeOf(cells, func(c Cell) *int64 { return c.RTTP99Ns }),
		P999Ns:  rangeOf(cells, func(c Cell) *int64 { return c.RTTP999Ns }),
		MaxNs:   rangeOf(cells, func(c Cell) *int64 { return c.RTTMaxNs }),

		IntendedP50Ns:  rangeOf(cells, func(c Cell) *int64 { return c.IntendedP50Ns }),
		IntendedP90Ns:  rangeOf(cells, func(c Cell) *int64 { return c.IntendedP90Ns }),
		IntendedP99Ns:  rangeOf(cells, func(c Cell) *int64 { return c.IntendedP99Ns }),
		IntendedP999Ns: rangeOf(cells, func(c Cell) *int64 { return c.IntendedP999Ns }),
		IntendedMaxNs:  rangeOf(cells, func(c Cell) *int64 { return c.IntendedMaxNs }),

		FloorRTTNs: rangeOf(cells, func(c Cell) *float64 { return c.FloorRTTNs }),
		BareRTTNs:  rangeOf(cells, func(c Cell) *float64 { return c.BareRTTNs }),
		FloorRatio: rangeOf(cells, func(c Cell) *float64 { return c.FloorRatio }),
		BareRatio:  rangeOf(cells, func(c Cell) *float64 { return c.BareRatio }),
		Fairness:   rangeOf(cells, func(c Cell) *float64 { return c.Fairness }),
		CPUSPerMop: rangeOf(cells, func(c Cell) *float64 { return c.CPUSPerMop }),
		Verified:   true,

		PaceCPUSPerMop: rangeOf(cells, func(c Cell) *float64 { return c.PaceCPUSPerMop }),
		NetCPUSPerMop:  rangeOf(cells, Cell.netCPUSPerMop),
		Waits: Waits{
			Host:  sumOf(cells, func(c Cell) *WaitCounts { return c.Waits.Host }),
			Guest: sumOf(cells, func(c Cell) *WaitCounts { return c.Waits.Guest }),
		},
		Mixed: mixed(cells),
	}
	for _, c := range cells {
		s.Ops += c.Ops
		s.Errors += c.Errors
		s.Timeouts += c.Timeouts
		s.VerifyFailures += c.VerifyFailures
		s.Missed += c.Missed
		s.Verified = s.Verified && c.Verified
	}
	if s.Distance != "" {
		s.overSlices(cells)
	}
	return s
}

// Latency returns the percentiles that count: in an open loop those from the intended starts.
func (s Summary) Latency() (p50, p90, p99, p999, longest Range) {
	if s.RatePerS > 0 {
		return s.IntendedP50Ns, s.IntendedP90Ns, s.IntendedP99Ns, s.IntendedP999Ns, s.IntendedMaxNs
	}
	return s.P50Ns, s.P90Ns, s.P99Ns, s.P999Ns, s.MaxNs
}

func rangeOf[T int64 | float64](cells []Cell, figure func(Cell) *T) Range {
	if len(cells) == 0 {
		return Range{}
	}
	var values []float64
	for _, c := range cells {
		value := figure(c)
		if value == nil {
			return Range{}
		}
		values = append(values, float64(*value))
	}
	return rangeOfValues(values)
}

func rangeOfValues(values []float64) Range {
	if len(values) == 0 {
		return Range{}
	}
	low, high := stat.Middle(values)
	return Range{stat.Median(values), stat.Min(values), stat.Max(values), low, high, true}
}

func sumOf(cells []Cell, counts func(Cell) *WaitCounts) *WaitCounts {
	var sum WaitCounts
	for _, c := range cells {
		one := counts(c)
		if one == nil {
			return nil
		}
		sum.add(*one)
	}
	return &sum
}

// mixed compares as JSON, since a strategy that was read from a file is a map and one of this
// process is a struct.
func mixed(cells []Cell) []string {
	var names []string
	for _, f := range []struct {
		name string
		of   func(Cell) any
	}{
		{"wait", func(c Cell) any { return c.Wait }},
		{"pinning", func(c Cell) any { return c.Pinning }},
		{"procs", func(c Cell) any { return c.Procs }},
		{"lock_os_thread", func(c Cell) any { return c.LockOSThread }},
		{"env_commit", func(c Cell) any { return c.EnvCommit }},
	} {
		first := Canonical(f.of(cells[0]))
		differs := func(c Cell) bool { return !bytes.Equal(first, Canonical(f.of(c))) }
		if slices.ContainsFunc(cells[1:], differs) {
			names = append(names, f.name)
		}
	}
	return names
}

// Canonical is a value as JSON with its keys sorted.
func Canonical(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		return []byte(err.Error())
	}
	var generic any
	if json.Unmarshal(text, &generic) == nil {
		text, _ = json.Marshal(generic)
	}
	return text
}
