// SPDX-License-Identifier: Apache-2.0

package frames

import (
	"fmt"
	"slices"
	"strconv"

	"dx/experiments/internal/report"
	"dx/experiments/internal/result"
)

const giga = 1e-9 // of bytes a second

// builder is a report on its way.
type builder struct {
	*data
	charts []Chart
}

// Build writes the report of a folder and of the charts that were drawn of it.
func Build(f Folder, charts []Chart) report.Document {
	b := &builder{dataOf(f), charts}
	d := report.Document{Title: "Frames through shared memory", Subtitle: f.Footer()}
	for _, write := range []func() report.Section{
		b.summary, b.transfers, b.latency, b.passes, b.localWrites, b.rings, b.counted, b.baseline, b.firstTouch, b.conditions, b.leftOut,
	} {
		if s := write(); !s.IsEmpty() {
			d.Sections = append(d.Sections, s)
		}
	}
	failed, _ := b.failures()
	d.Failed = failed > 0
	return d
}

// name is a frame with what tells it from the others.
func (b *builder) name(c *Cell) string { return c.Frame + " " + b.lineOf(c) }

// pictures are those that were drawn of these names.
func (b *builder) pictures(names ...string) (list []report.Picture) {
	for _, name := range names {
		for _, c := range b.charts {
			if c.Name == name && c.Skipped == "" {
				list = append(list, report.Picture{Name: c.Name, Title: c.Title})
			}
		}
	}
	return list
}

func (b *builder) failures() (count int, reasons []string) {
	for _, c := range b.cells {
		failed, why := c.Failures()
		if failed == 0 {
			continue
		}
		count += failed
		reasons = append(reasons, fmt.Sprintf("%s: %d of %d, the first because: %s", b.name(c), failed, len(c.Records), why))
	}
	return count, reasons
}

func (b *builder) summary() report.Section {
	s := report.Section{Title: "What was found"}
	failed, reasons := b.failures()
	if failed == 0 {
		s.Say(fmt.Sprintf("All %d frames arrived as they were sent.", len(b.Records)))
	} else {
		s.Say(fmt.Sprintf("FAILED: %d of %d frames did not arrive as they were sent. They are in no figure.", failed, len(b.Records)))
		s.Say(reasons...)
	}
	if b.Torn {
		s.Say("The last line of result.jsonl was cut short and is left out: the run was interrupted.")
	}
	s.Say(b.headlines()...)
	s.Say(b.again()...)
	s.Add(b.againstMemcpy())
	s.Add(b.variants())
	if len(s.Tables) > 0 {
		s.Say(fmt.Sprintf("Ratios are taken run by run. A verdict takes %d runs, and a margin that is larger than what runs of the same thing differ by.", RunsMin))
	}
	return s
}

// headlines are a sentence for each way to hand over the largest frame.
func (b *builder) headlines() (sentences []string) {
	largest := slices.MaxFunc(b.main, func(a, z *Cell) int { return a.SizeBytes - z.SizeBytes })
	for _, c := range b.main {
		ratio := c.Ratio("memcpy", "total")
		if c.Frame != largest.Frame || !ratio.Known() {
			continue
		}
		sentences = append(sentences, fmt.Sprintf("%s: %s GB/s from the first byte written to the acknowledgement, %s times the speed of one memcpy of the same bytes in the same run: %s.",
			b.name(c), c.GBps("total"), ratio, verdict(ratio, 1, 0, "faster", "slower")))
	}
	return sentences
}

// verdictHead are the columns of a table of ratios.
func verdictHead(what string) []string { return []string{"frame", what, "runs", "verdict"} }

func verdictRow(name string, ratio Span, verdict string) []string {
	return []string{name, ratio.String(), strconv.Itoa(ratio.Runs), verdict}
}

// againstMemcpy compares transfers with a memcpy.
func (b *builder) againstMemcpy() report.Table {
	t := report.Table{Caption: "Speed of the total / speed of one memcpy of the same bytes", Head: verdictHead("of memcpy")}
	for _, c := range b.main {
		if ratio := c.Ratio("memcpy", "total"); ratio.Known() {
			t.Rows = append(t.Rows, verdictRow(b.name(c), ratio, verdict(ratio, 1, 0, "faster", "slower")))
		}
	}
	return t
}

// verdict is what may be said of a ratio.
func verdict(ratio Span, value, noise float64, more, less string) string {
	switch ratio.AgainstNoise(value, noise) {
	case More:
		return more
	case Less:
		return less
	case Same:
		return fmt.Sprintf("no difference beyond the noise (%s)", result.FormatSig3(max(ratio.High-ratio.Low, noise)))
	}
	return fmt.Sprintf("none: fewer than %d runs", RunsMin)
}

// variants compares the ways to hand a frame over with the first one.
func (b *builder) variants() report.Table {
	t := report.Table{Caption: "Time of the total / that of the first variant of the frame", Head: verdictHead("times as long")}
	for _, c := range b.main {
		first := b.main[slices.IndexFunc(b.main, func(o *Cell) bool { return o.Frame == c.Frame })]
		if ratio := c.RatioTo(first, "total"); first != c && ratio.Known() {
			t.Rows = append(t.Rows, verdictRow(fmt.Sprintf("%s / %s", b.name(c), b.lineOf(first)), ratio,
				verdict(ratio, 1, b.noise(c.Frame), "slower", "faster")))
		}
	}
	return t
}

// noise is by how much the same memcpy differs between the cells of a frame: a share of 1.
func (b *builder) noise(frame string) float64 {
	span := b.memcpyOf(frame)
	if !span.Known() {
		return 0
	}
	return (span.High - span.Low) / span.Median
}

// memcpyOf is the rate of memcpy by cell, not by run.
func (b *builder) memcpyOf(frame string) Span {
	var rates []float64
	for _, c := range b.main {
		if rate := c.Rate("memcpy"); c.Frame == frame && rate.Known() {
			rates = append(rates, rate.Median)
		}
	}
	return SpanOf(rates)
}

// again tells how far measurements of the same thing lie apart.
func (b *builder) again() (sentences []string) {
	var seen []string
	for _, c := range b.main {
		if span := b.memcpyOf(c.Frame); span.Runs > 1 && !slices.Contains(seen, c.Frame) {
			seen = append(seen, c.Frame)
			sentences = append(sentences, fmt.Sprintf("The same memcpy of a %s frame, measured beside each of %d variants, gave %s to %s GB/s: no smaller difference between variants counts.",
				c.Frame, span.Runs, result.FormatSig3(span.Low*giga), result.FormatSig3(span.High*giga)))
		}
	}
	return sentences
}

func (b *builder) leftOut() report.Section {
	s := report.Section{Title: "Charts that are left out"}
	for _, c := range b.charts {
		if c.Skipped != "" {
			s.Say(fmt.Sprintf("%s: %s.", c.Title, c.Skipped))
		}
	}
	return s
}
