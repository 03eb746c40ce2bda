// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"dx/experiments/internal/report"
	"dx/experiments/internal/result"
)

// sentences say what the figures show and no more: of the distance that was met most.
func sentences(l log) (list []string) {
	say := func(text string) {
		if text != "" {
			list = append(list, text)
		}
	}
	all := result.Summarise(l.cells)
	of := most(all)
	var at []result.Summary
	for _, s := range all {
		if s.Distance == of {
			at = append(at, s)
		}
	}
	for _, v := range views(at) {
		if v.rate > 0 {
			say(v.latencies())
			say(v.cheapest())
			continue
		}
		say(v.rates())
		say(v.better())
	}
	say(absent(l.out))
	return list
}

// rates compares the reference with the fastest of the others.
func (v view) rates() string {
	base, ok := v.row(reference)
	if !ok || !base.OpsPerS.Known {
		return ""
	}
	var best result.Summary
	for _, s := range v.rows {
		if kindOf(s.Variant).group != groupDX && s.OpsPerS.Known && s.OpsPerS.Median > best.OpsPerS.Median {
			best = s
		}
	}
	if best.OpsPerS.Median == 0 {
		return ""
	}
	if !differ(best, base, rateOf) {
		return fmt.Sprintf("%s: neither %s nor %s, the fastest of the others, may be called faster.", v.title(), reference, best.Variant)
	}
	if ratio := base.OpsPerS.Median / best.OpsPerS.Median; ratio >= 1 {
		return fmt.Sprintf("%s: %s makes %s times the calls of %s, the fastest of the others.", v.title(), reference, result.FormatSig3(ratio), best.Variant)
	}
	return fmt.Sprintf("%s: %s makes %s times the calls of %s.", v.title(), best.Variant, result.FormatSig3(best.OpsPerS.Median/base.OpsPerS.Median), reference)
}

// better names the peers that are faster than each form of dx.
func (v view) better() string {
	var parts []string
	for _, own := range v.rows {
		if kindOf(own.Variant).group != groupDX || !own.OpsPerS.Known {
			continue
		}
		var faster []string
		for _, s := range v.rows {
			if kindOf(s.Variant).group != groupDX && s.OpsPerS.Median > own.OpsPerS.Median && differ(s, own, rateOf) {
				faster = append(faster, s.Variant)
			}
		}
		if len(faster) > 0 {
			parts = append(parts, fmt.Sprintf("%s than %s", report.List(faster), own.Variant))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s: faster are %s.", v.title(), strings.Join(parts, "; "))
}

// smallest are the form of dx and the other peer with the smallest median of a figure; without a
// name where none is known.
func (v view) smallest(of func(result.Summary) result.Range) (own, best result.Summary) {
	for _, s := range v.rows {
		least := &best
		if kindOf(s.Variant).group == groupDX {
			least = &own
		}
		if of(s).Known && (least.Variant == "" || of(s).Median < of(*least).Median) {
			*least = s
		}
	}
	return own, best
}

// latencies compares the p50 by a schedule.
func (v view) latencies() string {
	own, best := v.smallest(func(s result.Summary) result.Range { return s.IntendedP50Ns })
	if own.Variant == "" || best.Variant == "" || min(own.Slices, best.Slices) < result.SlicesWanted {
		return ""
	}
	return fmt.Sprintf("%s: the p50 from the intended start is %s with %s and %s with %s, the shortest of the others.", v.title(),
		result.FormatNs(own.IntendedP50Ns.Median), own.Variant, result.FormatNs(best.IntendedP50Ns.Median), best.Variant)
}

// cheapest compares the CPU time of a call by a schedule.
func (v view) cheapest() string {
	own, best := v.smallest(cpuOf)
	switch {
	case own.Variant == "" || best.Variant == "":
		return ""
	case !differ(own, best, cpuOf):
		return fmt.Sprintf("%s: neither %s nor %s, the cheapest of the others, may be called cheaper by the CPU time of a call.", v.title(), own.Variant, best.Variant)
	}
	return fmt.Sprintf("%s: a call takes %s us of CPU time with %s and %s us with %s, the cheapest of the others; the waiting for its start is in that.",
		v.title(), result.FormatSig3(own.CPUSPerMop.Median), own.Variant, result.FormatSig3(best.CPUSPerMop.Median), best.Variant)
}

// absent names what is missing.
func absent(out []leftOut) string {
	var names []string
	for _, o := range out {
		if o.Threads == 0 {
			names = append(names, o.Peer)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "Missing here: " + report.List(names) + "."
}
