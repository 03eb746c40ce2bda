// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/BurntSushi/toml"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// report writes tune.toml, report.txt and the charts, and prints the report.
func (t *tuning) report(out io.Writer) error {
	v := t.search.verdict()
	chosen, why := t.choose(v)
	path := filepath.Join(t.out, "tune.toml")
	if err := writeTOML(path, chosen.wait, t.comment(chosen, why)); err != nil {
		return err
	}
	rows := t.rows()
	var text bytes.Buffer
	fmt.Fprintf(&text, "Wait settings for %s\ngoal %s, %s, host %s, guest %s, %s, %s; seed %d, %d runs\n\n", t.env.Footer(),
		t.goalText(), t.callersText(), t.base.Host, t.base.Guest, result.FormatBytes(t.base.Payload), t.base.Transport, t.seed, len(t.cells))
	writeRows(&text, rows)
	fmt.Fprintf(&text, "\n%s\n\nWritten: %s, which is %s.\n", why, path, chosen.name)
	if err := os.WriteFile(filepath.Join(t.out, "report.txt"), text.Bytes(), 0o644); err != nil {
		return err
	}
	if _, err := out.Write(text.Bytes()); err != nil {
		return err
	}
	return t.draw(rows)
}

// choose returns what is to be written, and the reason.
func (t *tuning) choose(v verdict) (*candidate, string) {
	base := &candidate{name: defaultName, wait: t.base.Wait}
	percent := func(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" }
	early := ""
	if t.interrupted {
		early = "Interrupted; not confirmed. "
	}
	if v.best == nil {
		return base, early + "No candidate could be compared with the default: the default stays. A longer -budget measures more."
	}
	figures := fmt.Sprintf("%s %s is better than the default by %s in %d of %d rounds; the default differs from itself by %s (A/A).",
		early+"By the goal,", v.best.name, percent(v.gain), v.wins, v.rounds, percent(v.noise))
	switch {
	case t.interrupted && v.beyond:
		return v.best, figures + " That is beyond the difference, but rounds are missing."
	case v.certain:
		return v.best, figures + fmt.Sprintf(" That is %s above the noise; chance wins so often with %s.", percent(v.gain-v.noise), percent(v.chance))
	case v.beyond:
		return base, figures + fmt.Sprintf(" Chance wins so often with %s, which is more than %s: the default stays.", percent(v.chance), percent(v.limit))
	}
	return base, figures + " That is within the noise: the default stays."
}

func (t *tuning) goalText() string {
	if t.goal != "mix" {
		return t.goal
	}
	var parts []string
	for i, weight := range t.weights {
		parts = append(parts, fmt.Sprintf("%s=%g", figureNames[i], weight))
	}
	return "mix of " + strings.Join(parts, ", ")
}

func (t *tuning) callersText() string {
	var parts []string
	for _, n := range t.callers {
		parts = append(parts, strconv.Itoa(n))
	}
	if len(parts) == 1 {
		return result.Callers(t.callers[0])
	}
	return strings.Join(parts, ", ") + " callers"
}

// comment is the head of tune.toml.
func (t *tuning) comment(chosen *candidate, why string) []string {
	return []string{
		fmt.Sprintf("Wait strategy that tune chose: %s; libdx/dx_wait.h explains the keys.", chosen.name),
		"Machine: " + t.env.Footer(),
		"Date: " + t.env.Date,
		fmt.Sprintf("Goal: %s; %s, host %s, guest %s, %s, %s; seed %d, budget %v",
			t.goalText(), t.callersText(), t.base.Host, t.base.Guest, result.FormatBytes(t.base.Payload), t.base.Transport, t.seed, t.budget),
		why,
	}
}

// writeTOML writes a strategy as programs load it, and reads it back.
func writeTOML(path string, w dx.Wait, comment []string) error {
	var text strings.Builder
	for _, line := range comment {
		width := 0
		for _, word := range strings.FieldsFunc(line, notInComment) {
			if word = shorten(word); width == 0 || width+len(word) > commentMax {
				text.WriteString(map[bool]string{true: "#", false: "\n#"}[width == 0])
				width = 1
			}
			text.WriteString(" " + word)
			width += 1 + len(word)
		}
		text.WriteString("\n")
	}
	text.WriteString("\n")
	if err := toml.NewEncoder(&text).Encode(w); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return err
	}
	back, err := dx.LoadWait(path)
	if err == nil && back != w {
		err = fmt.Errorf("%s is read as %+v, and was to be %+v", path, back, w)
	}
	return err
}

// commentMax is the length of a line; C reads no lines of 200 bytes and more.
const commentMax = 96

// notInComment finds blanks, and what a processor's name might hold against them all.
func notInComment(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
}

func shorten(word string) string {
	if len(word) <= commentMax {
		return word
	}
	return strings.ToValidUTF8(word[:commentMax], "")
}

// row is a candidate in the report.
type row struct {
	*candidate
	rounds  int
	score   float64
	summary result.Summary // geometric means over the callers
	front   bool
}

// rows returns who was compared with the default, the best first; those that came
// further before those that did not.
func (t *tuning) rows() (rows []row) {
	s := t.search
	rounds := append(slices.Clone(s.halving), s.final...)
	for _, c := range append([]*candidate{s.a, s.again}, s.all...) {
		score := s.against(c, rounds)
		if c == s.a || c == s.again {
			score = s.score(c, s.a, rounds)
		}
		if summary, ok := s.means(c, rounds); ok && !c.bad && !math.IsNaN(score) {
			rows = append(rows, row{candidate: c, rounds: len(c.seen), score: score, summary: summary})
		}
	}
	slices.SortStableFunc(rows, func(x, y row) int {
		if x.rounds != y.rounds {
			return y.rounds - x.rounds
		}
		return cmp.Compare(y.score, x.score)
	})
	summaries := make([]result.Summary, len(rows))
	for i := range rows {
		summaries[i] = rows[i].summary
	}
	for i, front := range result.Front(summaries) {
		rows[i].front = front
	}
	return rows
}

// means are the figures of a candidate as those of the default times how many times
// better it is in the same rounds.
func (s *search) means(c *candidate, rounds []int) (summary result.Summary, ok bool) {
	var f figures
	for i := range f {
		only := weights{}
		only[i] = 1
		one := &candidate{seen: map[int][]figures{}}
		for round := range s.a.seen {
			one.seen[round] = make([]figures, len(s.callers))
			for at := range s.callers {
				one.seen[round][at] = figures{1, 1, 1}
			}
		}
		f[i] = only.score(s.a, one, rounds) * only.score(c, s.a, rounds)
	}
	known := func(x float64) result.Range {
		return result.Range{Median: x, Min: x, Max: x, Low: x, High: x, Known: !math.IsNaN(x) && !math.IsInf(x, 0)}
	}
	summary.OpsPerS, summary.P99Ns, summary.CPUSPerMop = known(f[throughput]), known(1/f[latency]), known(1/f[cost])
	return summary, summary.OpsPerS.Known
}

func writeRows(text *bytes.Buffer, rows []row) {
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "\tscore\tp99\tM/s\tCPU s/M\trounds\tstrategy\tspin min/start/max +inc -dec\tyield\tburst\trelax\tpark\tadapt\n")
	for _, r := range rows {
		w := r.wait
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%d/%d/%d +%d -%d\t%d\t%d\t%v\t%v\t%v\n", map[bool]string{true: "*"}[r.front],
			result.FormatSig3(r.score), r.summary.P99Ns.Format(result.FormatNs), result.FormatSig3(r.summary.OpsPerS.Median/1e6),
			r.summary.CPUSPerMop.Format(result.FormatSig3), r.rounds, r.name,
			w.SpinMin, w.SpinStart, w.SpinMax, w.SpinInc, w.SpinDec, w.YieldEvery, w.Burst, w.Relax, w.Park, w.Adapt)
	}
	table.Flush() // a bytes.Buffer takes everything
	text.WriteString("\n* Pareto front: no other one is at least as good in p99, rate and CPU time.\n" +
		"Geometric means over the callers; score: times better than the default, by the goal.\n" +
		"Few rounds are weak evidence: only the verdict below minds the noise.\n")
}

func (t *tuning) draw(rows []row) error {
	var candidates []chart.Candidate
	for _, r := range rows {
		if !r.summary.P99Ns.Known || !r.summary.CPUSPerMop.Known {
			continue
		}
		candidates = append(candidates, chart.Candidate{Name: r.name, CPUSPerMop: r.summary.CPUSPerMop.Median,
			P99Ns: r.summary.P99Ns.Median, OpsPerS: r.summary.OpsPerS.Median, Front: r.front})
	}
	if len(candidates) < 2 {
		fmt.Fprintln(os.Stderr, "tune: no chart: fewer than two candidates have a p99, a rate and a CPU time")
		return nil
	}
	title := "Latency, cost and rate: geometric means over " + t.callersText()
	base := filepath.Join(t.out, "pareto")
	return chart.Pareto(title, candidates, t.env.Footer(), base+".png", base+".svg")
}
