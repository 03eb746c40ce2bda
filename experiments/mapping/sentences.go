// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"

	"dx/experiments/internal/stat"
	"dx/libdx/tools/mapping"
)

// What the predecessor published of its 4K frames, in nanoseconds (its labels were off by a
// thousand): one load of a byte in each line, and then memcpy out of the mapping.
const (
	theirFrameBytes = 3840 * 2160 * 3
	theirReadNs     = 60_182_000
	theirCopyNs     = 251_890_000
	theirWriteNs    = 2_926_000 // the host's memcpy of the frame into shared memory
)

// sentences say what the figures show, and nothing that they do not.
func sentences(accelerator string, all []measured) []string {
	var s []string
	for _, m := range all {
		s = append(s, kindSentence(m))
	}
	s = append(s, hiddenSentence(accelerator, all)...)
	s = append(s, modelSentences(accelerator, all)...)
	return append(s, theirSentences(all)...)
}

func kindSentence(m measured) string {
	if m.Unavailable != "" {
		return fmt.Sprintf("%s (%s): not to be had: %s.", m, m.Asked, m.Unavailable)
	}
	said := ""
	if m.KernelSays != "" {
		said = ", listed by the guest's kernel as " + m.KernelSays
	}
	return fmt.Sprintf("%s: %s was asked for%s; 32 KiB are read again in %.1f ns a line: %s.",
		m, m.Asked, said, m.Times.LineNs, m.Kind)
}

// barOf returns the mappings of the device in the guest that could be had.
func barsOf(all []measured) (bars []measured) {
	for _, m := range all {
		if m.Unavailable == "" && m.Where == "guest" && m.Source != private {
			bars = append(bars, m)
		}
	}
	return bars
}

// hiddenSentence compares the kinds with each other and with the difference of one to itself.
func hiddenSentence(accelerator string, all []measured) []string {
	bars := barsOf(all)
	asked, kinds := map[string]bool{}, map[string]bool{}
	for _, m := range bars {
		asked[m.Asked], kinds[m.Kind] = true, true
	}
	switch {
	case len(bars) == 0:
		return nil
	case len(asked) < 2:
		return []string{"Only one kind of mapping was measured: nothing is said of others."}
	case len(kinds) > 1:
		return []string{fmt.Sprintf("Under %s the kind that is asked for decides what is had.", accelerator)}
	}
	text := fmt.Sprintf("Under %s all kinds of mapping of the device are the same memory, %s: the "+
		"hypervisor hides the difference.", accelerator, bars[0].Kind)
	if same, ok := differ(bars, true); ok {
		other, _ := differ(bars, false)
		text += fmt.Sprintf(" Between kinds the loops differ by %.0f %% (median of the loops), between two "+
			"boots with the same kind by %.0f %%.", 100*other, 100*same)
	}
	return []string{text}
}

// differ returns how much loops of two mappings differ: the median over all loops, of the first
// two that are of the same kind and not, or of different kinds.
func differ(bars []measured, same bool) (float64, bool) {
	for i, a := range bars {
		for _, b := range bars[i+1:] {
			if (a.Asked == b.Asked) != same {
				continue
			}
			var ratios []float64
			for _, f := range a.Figures {
				if g, ok := b.find(f.Name, f.Bytes); ok {
					x, y := stat.Median(f.perLine()), stat.Median(g.perLine())
					ratios = append(ratios, math.Abs(x-y)/min(x, y))
				}
			}
			return stat.Median(ratios), len(ratios) > 0
		}
	}
	return 0, false
}

// modelSentences ask what a load costs: in uncached memory each the same, whatever its width and
// whether its line was just read; in a cache next to nothing, once the line is there. Translated code
// of a guest pays for its instructions, so that there the guest's own memory is the measure.
func modelSentences(accelerator string, all []measured) (s []string) {
	for _, m := range all {
		if m.Where == "guest" && accelerator == "tcg" {
			continue
		}
		size := m.largest()
		one, ok1 := m.find("load-8x1", size)
		eight, ok8 := m.find("load-8x8", size)
		wide, ok16 := m.find("load-16x4", size)
		if !ok1 || !ok8 || !ok16 {
			continue
		}
		a, b, w := stat.Median(one.perLine()), stat.Median(eight.perLine()), stat.Median(wide.perLine())
		s = append(s, fmt.Sprintf("%s, %d MiB: a line costs %.2f ns with one load of 8 bytes, %.2f ns (%.1fx) with "+
			"eight, %.2f ns (%.1fx) with four of 16; if each load cost the same it would be 8x and 4x.",
			m, size>>20, a, b, b/a, w, w/a))
	}
	if accelerator == "tcg" {
		s = append(s, translatedSentences(all)...)
	}
	return s
}

// translatedSentences compare mappings of the device with the guest's private memory.
func translatedSentences(all []measured) (s []string) {
	i := slices.IndexFunc(all, func(m measured) bool { return m.Where == "guest" && m.Source == private })
	if i < 0 || all[i].Unavailable != "" {
		return nil
	}
	for _, m := range barsOf(all) {
		var ratios []float64
		for _, f := range m.Figures {
			if g, ok := all[i].find(f.Name, f.Bytes); ok {
				ratios = append(ratios, stat.Median(f.perLine())/stat.Median(g.perLine()))
			}
		}
		s = append(s, fmt.Sprintf("%s: its loops take %.2fx (median; %.2fx to %.2fx) of the time of the same "+
			"translated loops over the guest's private memory, which is write-back for certain.",
			m, stat.Median(ratios), stat.Min(ratios), stat.Max(ratios)))
	}
	return s
}

func (m measured) largest() (bytes int) {
	for _, f := range m.Figures {
		bytes = max(bytes, f.Bytes)
	}
	return bytes
}

// theirSentences put the predecessor's figures beside the model, and beside what storing costs here.
func theirSentences(all []measured) []string {
	lines := theirFrameBytes / mapping.LineBytes
	perLoad := float64(theirReadNs) / float64(lines)
	const width = 16
	loads := theirFrameBytes / width
	predicted := perLoad * float64(loads)
	s := []string{
		fmt.Sprintf("The earlier program's \"pure read\" of a frame was one load in each of %d lines: %.1f ms are "+
			"%.1f ns a load. Its copy was %.1f ms: as loads of %d bytes, %d of them, %.1f ns each.",
			lines, theirReadNs/1e6, perLoad, theirCopyNs/1e6, width, loads, float64(theirCopyNs)/float64(loads)),
		fmt.Sprintf("One constant, %.1f ns a load, gives %.0f ms for that copy (%.1f %% of what it measured), %.1fx "+
			"the read where it printed %.1fx, and %d bytes a load are %.2f GB/s where it printed 0.1.",
			perLoad, predicted/1e6, 100*predicted/theirCopyNs, predicted/theirReadNs,
			float64(theirCopyNs)/theirReadNs, width, width/perLoad),
	}
	extra := float64(theirCopyNs - theirReadNs)
	text := fmt.Sprintf("Local writes cannot have cost the other %.0f ms: its own host stored the frame in %.1f ms",
		extra/1e6, theirWriteNs/1e6)
	for _, m := range all {
		if f, ok := m.find("store-16x4", m.largest()); ok && m.Source == private {
			ns := float64(theirFrameBytes) / f.bytesPerSecond() * 1e9
			text += fmt.Sprintf("; here the %s stores as many bytes of private memory in %.1f ms", m.Where, ns/1e6)
		}
	}
	return append(s, text+".", observedSentence(perLoad, all))
}

// observedSentence says whether this run has seen such loads itself.
func observedSentence(perLoad float64, all []measured) string {
	for _, m := range all {
		one, ok := m.find("load-8x1", m.largest())
		if m.Unavailable == "" && m.Kind != mapping.Cached && ok {
			return fmt.Sprintf("%s is such memory: a load costs %.1f ns in this run, and cost %.1f ns in theirs.",
				m, one.perAccess(), perLoad)
		}
	}
	return "No mapping of this run was uncached: that such loads cost this much is the earlier program's " +
		"figure, not one of this machine."
}
