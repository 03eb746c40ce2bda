// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/report"
	"dx/experiments/internal/result"
)

// counted is what both sides counted.
func (b *builder) counted() report.Section {
	s := report.Section{Title: "Counters", Charts: b.pictures("counters")}
	t := report.Table{Caption: "In one frame; NA is what the machine does not count", Head: []string{"frame", "side", "context switches", "page faults", "L1D misses", "LLC misses",
		"dTLB misses", "cycles", "instructions", "IPC", "cycles a byte"}}
	why := map[string][]string{}
	var reasons []string
	estimated := false
	for _, c := range b.main {
		for _, side := range []struct {
			name string
			of   func(Record) *counters.Values
		}{{"host", Host}, {"guest", Guest}} {
			sum, frames := c.Counters(side.of)
			if frames == 0 {
				continue
			}
			t.Rows = append(t.Rows, append([]string{b.name(c), side.name}, countersOf(sum, frames, c.SizeBytes)...))
			estimated = estimated || sum.CountedShare() < 1
			for e := range counters.Events {
				if reason := sum.Why(e); reason != "" && !slices.Contains(why[reason], e.String()) {
					if why[reason] == nil {
						reasons = append(reasons, reason)
					}
					why[reason] = append(why[reason], e.String())
				}
			}
		}
	}
	s.Add(t)
	if len(t.Rows) > 0 {
		s.Say("Counted in passes of their own over the same frame, without a clock. A share is of the loads that reached that cache or TLB.")
	}
	if estimated {
		s.Say("The processor has fewer registers than there are events: counts are scaled up from the share of the time in which they were counted.")
	}
	for _, reason := range reasons {
		s.Say(fmt.Sprintf("NA: %s: %s.", report.List(why[reason]), reason))
	}
	return s
}

func countersOf(v counters.Values, frames, bytes int) (row []string) {
	each := func(e counters.Event) string {
		count, known := v.Count(e)
		return orNA(float64(count)/float64(frames), known)
	}
	share := func(e counters.Event, of func() (float64, bool)) string {
		text := each(e)
		if rate, known := of(); known {
			text += fmt.Sprintf(" (%s %%)", result.FormatSig3(rate*100))
		}
		return text
	}
	ipc, ipcKnown := v.IPC()
	perByte, perByteKnown := v.CyclesPerByte(uint64(frames) * uint64(bytes))
	return []string{each(counters.ContextSwitches), each(counters.PageFaults), share(counters.L1DMisses, v.L1DMissRate),
		share(counters.LLCMisses, v.LLCMissRate), share(counters.DTLBMisses, v.DTLBMissRate), each(counters.Cycles),
		each(counters.Instructions), orNA(ipc, ipcKnown), orNA(perByte, perByteKnown)}
}

func orNA(x float64, known bool) string {
	if !known {
		return "NA"
	}
	return result.FormatSig3(x)
}

// conditions are the circumstances, as far as the folder tells.
func (b *builder) conditions() report.Section {
	s := report.Section{Title: "On what it was measured"}
	t := report.Table{Caption: "Conditions", Head: []string{"what", "value"}}
	row := func(what, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []string{what, value})
		}
	}
	if e := b.Environment; e != nil {
		commit := e.GitCommit
		if commit == "" {
			commit = "none"
		}
		for _, one := range [][2]string{{"commit", commit}, {"files differed from it", e.GitDirty}, {"processor", e.CPUModel},
			{"CPUs, usable", fmt.Sprintf("%d, %d", e.LogicalCPUs, e.UsableCPUs)}, {"SMT", e.SMT}, {"governor", e.Governor},
			{"kernel", e.Kernel}, {"system", e.OS}, {"hypervisor", e.Hypervisor}, {"accelerator of the guest", e.Accelerator},
			{"CPU quota", e.CgroupCPUQuota}, {"Go, C compiler", e.GoVersion + ", " + e.CCompiler}, {"date", e.Date}} {
			row(one[0], one[1])
		}
	} else {
		s.Say("The folder has no environment.json: the machine is not known.")
	}
	row("transport", b.each(func(r Record) string { return r.Transport }))
	row("wait strategy", b.each(func(r Record) string { return r.Wait }))
	row("pinning", b.each(func(r Record) string { return r.Pinning }))
	row("caches emptied by", b.each(func(r Record) string { return r.Flush }))
	row("commit in the results", b.each(func(r Record) string { return r.EnvCommit }))
	runs := 0
	for _, c := range b.cells {
		runs = max(runs, c.Runs())
	}
	row("runs", strconv.Itoa(runs))
	row("frames", strconv.Itoa(len(b.Records)))
	s.Add(t)
	return s
}

// each collects the values of a field, which are mostly one.
func (b *builder) each(of func(Record) string) string {
	var values []string
	for _, r := range b.Records {
		if value := of(r); value != "" && !slices.Contains(values, value) {
			values = append(values, value)
		}
	}
	return strings.Join(values, "; ")
}
