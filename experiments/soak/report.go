// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
	"dx/go/dx"
)

// report is report.json.
type report struct {
	Verdict     string          `json:"verdict"` // all right, something was wrong, interrupted
	Failures    []string        `json:"failures"`
	Command     reportConfig    `json:"config"`
	Environment env.Environment `json:"environment"`
	ElapsedNs   int64           `json:"elapsed_ns"`
	Calls       callCounts      `json:"calls"`
	Kills       int             `json:"kills_survived"`
	Faults      []faultSummary  `json:"faults"`
	Leaks       leakCounts      `json:"leaks"`

	byKind map[string][]*fault
}

type reportConfig struct {
	Transport, Host, Guest, Wait, Pinning string
	Sanitizers                            string // that the program was built with
	Callers, PayloadBytes, Era            int
	FaultsPerSecond                       float64
	Kinds                                 []string
	Scribble, Standby                     bool
	Seed                                  uint64
}

type callCounts struct {
	Issued       uint64 `json:"issued"`
	Verified     uint64 `json:"verified"`
	VerifiedRate any    `json:"verified_per_s"`
	// Wrong answers: to another request of the caller, to another caller's, to nothing.
	Wrong      uint64 `json:"wrong"`
	WrongStale uint64 `json:"wrong_stale"`
	WrongOther uint64 `json:"wrong_other_callers"`
	WrongBytes uint64 `json:"wrong_bytes"`
	// Requests as they reached a handler: again, or damaged.
	HandledTwice uint64 `json:"handled_twice"`
	BadRequests  uint64 `json:"bad_requests"`
	// While somebody scribbled.
	ForgedRight uint64            `json:"under_scribble_right"`
	ForgedWrong uint64            `json:"under_scribble_wrong"`
	ForgedError uint64            `json:"under_scribble_failed"`
	Failed      map[string]uint64 `json:"failed_by_kind"`
}

// faultSummary is all faults of a kind.
type faultSummary struct {
	Kind      string `json:"kind"`
	Count     int    `json:"count"`
	Recovered int    `json:"recovered"`
	// Quantiles of what is in events.jsonl, in nanoseconds.
	Dead              quantiles `json:"dead"`
	Notice            quantiles `json:"notice"`
	Start             quantiles `json:"start"`
	Ready             quantiles `json:"ready"`
	Recovery          quantiles `json:"recovery"`
	RecoveryFromReady quantiles `json:"recovery_from_ready"`
	AllCallers        quantiles `json:"all_callers"`
}

type leakCounts struct {
	Slots      int    `json:"slots"`
	SlotChecks int    `json:"slot_checks"`
	Names      int    `json:"names"`
	Judged     int    `json:"processes_judged"`
	Faults     int    `json:"faults_they_lived_through"`
	Worst      sample `json:"worst_growth"`
}

// quantiles of exact values, by the nearest rank: no more than q of them are larger.
type quantiles struct {
	Count int    `json:"count"`
	P50   *int64 `json:"p50_ns"`
	P99   *int64 `json:"p99_ns"` // null below 100 values, where it would be the maximum
	Max   *int64 `json:"max_ns"`
}

func quantilesOf(values []int64) quantiles {
	q := quantiles{Count: len(values)}
	if q.Count == 0 {
		return q
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(q float64) *int64 {
		return new(sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)])
	}
	q.P50, q.Max = at(0.5), at(1)
	if q.Count >= 100 {
		q.P99 = at(0.99)
	}
	return q
}

// kindName names a kind of failed call.
func kindName(kind int) string {
	if kind == 0 {
		return "not an error of dx"
	}
	text := (&dx.Error{Status: dx.Status(-kind)}).Error()
	return strings.TrimPrefix(text, "dx: ")
}

// count takes note of a fault.
func (r *report) count(f *fault) {
	if r.byKind == nil {
		r.byKind = map[string][]*fault{}
	}
	r.byKind[f.Kind] = append(r.byKind[f.Kind], f)
	if f.Recovered && strings.HasPrefix(f.Kind, "kill") {
		r.Kills++
		if f.host != 0 && f.guest != 0 {
			r.Kills++
		}
	}
}

// sanitizers says what looks over this program's shoulder, "none" if nothing does.
func sanitizers() string {
	var found []string
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return env.Unknown
	}
	for _, setting := range info.Settings {
		switch {
		case (setting.Key == "-asan" || setting.Key == "-race") && setting.Value == "true":
			found = append(found, setting.Key[1:])
		case setting.Key == "CGO_CFLAGS" && strings.Contains(setting.Value, "-fsanitize="):
			found = append(found, setting.Value)
		}
	}
	if len(found) == 0 {
		return "none"
	}
	return strings.Join(found, ", ")
}

// summarise sums faults up; "kill" is those of every victim.
func (r *report) summarise() {
	r.Faults = nil
	var kills []*fault
	for _, kind := range []string{"kill guest", "kill host", "kill both", "kill", "close guest", "close host",
		"stop guest", "stop host", "scribble"} {
		faults := r.byKind[kind]
		if strings.HasPrefix(kind, "kill ") {
			kills = append(kills, faults...)
		} else if kind == "kill" {
			faults = kills
		}
		if len(faults) > 0 {
			r.Faults = append(r.Faults, summaryOf(kind, faults))
		}
	}
}

func summaryOf(kind string, faults []*fault) faultSummary {
	s := faultSummary{Kind: kind, Count: len(faults)}
	var dead, notice, start, ready, recovery, fromReady, all []int64
	add := func(to *[]int64, ns int64) {
		if ns > 0 {
			*to = append(*to, ns)
		}
	}
	for _, f := range faults {
		if !f.Recovered {
			continue
		}
		s.Recovered++
		add(&dead, f.DeadNs)
		add(&notice, f.NoticeNs)
		add(&start, f.StartNs)
		add(&ready, f.ReadyNs)
		add(&recovery, f.RecoveryNs)
		if f.ReadyNs > 0 {
			fromReady = append(fromReady, max(0, f.RecoveryNs-f.ReadyNs))
		}
		add(&all, f.AllCallersNs)
	}
	s.Dead, s.Notice, s.Start, s.Ready = quantilesOf(dead), quantilesOf(notice), quantilesOf(start), quantilesOf(ready)
	s.Recovery, s.RecoveryFromReady, s.AllCallers = quantilesOf(recovery), quantilesOf(fromReady), quantilesOf(all)
	return s
}

// complete fills in what is known at the end.
func (s *soak) complete(verdict string) {
	r := &s.report
	r.Verdict = verdict
	if r.Failures == nil {
		r.Failures = []string{}
	}
	elapsed := time.Since(s.began)
	sum := s.ledger.Sum()
	r.ElapsedNs = int64(elapsed)
	r.Calls = callCounts{Issued: sum.Issued, Verified: sum.Verified,
		Wrong: sum.Wrong(), WrongStale: sum.WrongStale, WrongOther: sum.WrongOther, WrongBytes: sum.WrongBytes,
		HandledTwice: sum.Repeated, BadRequests: sum.BadRequests, ForgedRight: sum.ForgedRight,
		ForgedWrong: sum.ForgedWrong, ForgedError: sum.ForgedError, Failed: map[string]uint64{}}
	if rate := stat.Rate(sum.Verified, int64(elapsed)); !math.IsNaN(rate) {
		r.Calls.VerifiedRate = math.Round(rate)
	}
	for kind, n := range sum.Failed {
		if n > 0 {
			r.Calls.Failed[kindName(kind)] = n
		}
	}
	pinning := "none"
	if s.pin == "auto" {
		pinning = s.cpus.String()
	}
	r.Command = reportConfig{Transport: s.transport, Host: s.host, Guest: s.guest, Wait: s.waitName,
		Pinning: pinning, Sanitizers: sanitizers(), Callers: s.callers, PayloadBytes: s.payload, Era: s.era,
		FaultsPerSecond: s.faults, Kinds: s.kinds, Scribble: s.scribble, Standby: s.standby, Seed: s.seed}
	r.summarise()
}

// write writes report.json and report.txt and prints the latter.
func (s *soak) write(out io.Writer) error {
	encoded, err := json.MarshalIndent(&s.report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.out, "report.json"), append(encoded, '\n'), 0o644); err != nil {
		return err
	}
	var text strings.Builder
	s.report.print(&text)
	if err := os.WriteFile(filepath.Join(s.out, "report.txt"), []byte(text.String()), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\nresults: %s (report.json, report.txt, events.jsonl, stderr.txt)\n", text.String(), s.out)
	return err
}

func (r *report) print(out io.Writer) {
	c := r.Command
	fmt.Fprintf(out, "soak: %.1f s on %s, host %s, guest %s, %d callers of up to %d B, wait %s, seed %d\n",
		float64(r.ElapsedNs)/1e9, c.Transport, c.Host, c.Guest, c.Callers, c.PayloadBytes, c.Wait, c.Seed)
	if c.Sanitizers != "none" {
		fmt.Fprintf(out, "built with sanitizers: %s\n", c.Sanitizers)
	}
	fmt.Fprintf(out, "\ncalls   %d verified, %d wrong, %d handled twice, %d damaged requests\n",
		r.Calls.Verified, r.Calls.Wrong, r.Calls.HandledTwice, r.Calls.BadRequests)
	for _, kind := range slices.Sorted(maps.Keys(r.Calls.Failed)) {
		fmt.Fprintf(out, "        %d failed: %s\n", r.Calls.Failed[kind], kind)
	}
	if c.Scribble {
		fmt.Fprintf(out, "        under scribble: %d right, %d wrong, %d failed (not counted above)\n",
			r.Calls.ForgedRight, r.Calls.ForgedWrong, r.Calls.ForgedError)
	}
	l := r.Leaks
	fmt.Fprintf(out, "leaks   %d slots (%d times all were taken), %d names\n", l.Slots, l.SlotChecks, l.Names)
	if l.Judged > 0 {
		fmt.Fprintf(out, "        growth of a process, at worst: %d descriptors, %d mappings of the region,\n"+
			"        %d mappings, %d kB resident, %d kB of heap (%d processes, %d faults survived by them)\n",
			l.Worst.Descriptors, l.Worst.Regions, l.Worst.Mappings, l.Worst.Resident>>10, l.Worst.Heap>>10,
			l.Judged, l.Faults)
	} else {
		fmt.Fprintf(out, "        descriptors and memory: NOT JUDGED, no process lived through %d faults\n", samplesNeeded)
	}
	fmt.Fprintf(out, "kills   %d survived\n\n", r.Kills)
	r.printFaults(out)
	for _, failure := range r.Failures {
		fmt.Fprintf(out, "WRONG   %s\n", failure)
	}
	fmt.Fprintf(out, "verdict %s\n", r.Verdict)
}

// printFaults prints the table.
func (r *report) printFaults(out io.Writer) {
	if len(r.Faults) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\tcount\trecovered\tdead p50\tnotice p50\tstart p50\tready p50\trecovery p50\tp99\tmax\tfrom ready p50\tp99\tall callers p99\tmax\t")
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", f.Kind, f.Count, f.Recovered,
			ns(f.Dead.P50), ns(f.Notice.P50), ns(f.Start.P50), ns(f.Ready.P50), ns(f.Recovery.P50),
			ns(f.Recovery.P99), ns(f.Recovery.Max), ns(f.RecoveryFromReady.P50), ns(f.RecoveryFromReady.P99),
			ns(f.AllCallers.P99), ns(f.AllCallers.Max))
	}
	_ = w.Flush()
	fmt.Fprint(out, `
Times count from just before the kill, the SIGTERM or the SIGCONT was sent; after a scribble, from
when both sides had ended. dead: the supervisor saw the end. notice: the survivor's first failure
(none if the new process was faster). start: a new process was started (0 with -standby). ready:
both sides held the region. recovery: the first verified call; all callers: one of each. p99 is
the nearest rank, and left out below 100 faults.

`)
}

func ns(value *int64) string {
	if value == nil {
		return "-"
	}
	return result.FormatNs(float64(*value))
}
