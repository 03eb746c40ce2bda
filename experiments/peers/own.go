// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// own is a peer's own benchmark, unchanged, and the peer of ours that it is to agree with.
type own struct {
	peer, name string
	figure     string // what it measures: p50 or mean, of a round trip
	together   bool   // both its sides run in one process, and at best on one CPU: ours, too, for comparison
	run        func(ctx context.Context, m *measuring, temporary string) (ns float64, err error)
}

var owns = []own{
	{"aeron", "EmbeddedPingPong of its samples, over aeron:ipc", "p50", false, runEmbeddedPingPong},
	{"shmipc", "BenchmarkParallelPingPongByShmipc64B of its bench_test.go, with one goroutine", "mean", true, runShmipcBenchmark},
}

// ownRun is one line of own.jsonl.
type ownRun struct {
	Peer   string  `json:"peer"`
	Name   string  `json:"benchmark"`
	Figure string  `json:"figure"`
	Run    int     `json:"run"`
	OwnNs  float64 `json:"own_ns"`
	OursNs float64 `json:"ours_ns"`
	// TogetherNs is ours with both processes on one CPU; 0: not measured.
	TogetherNs float64 `json:"together_ns,omitempty"`
}

const ownFile = "own.jsonl"

// compareOwn runs the benchmarks of the peers, and ours in turn with them.
func compareOwn(ctx context.Context, m *measuring, temporary string) (err error) {
	w, err := result.OpenLog(filepath.Join(m.c.out, ownFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	m.bar = progress.New("peers: their own benchmarks", m.c.runs*len(owns))
	defer m.bar.Close()
	for run := 1; run <= m.c.runs; run++ {
		for _, o := range owns {
			m.bar.Describe(fmt.Sprintf("run %d of %d, %s", run, m.c.runs, o.peer))
			line, err := m.ownOnce(ctx, o, run, temporary)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				m.say(fmt.Sprintf("%s: its own benchmark: left out: %v", o.peer, err))
				continue
			}
			m.l.own = append(m.l.own, line)
			if err := w.WriteLine(line); err != nil {
				return err
			}
			m.bar.Add(1)
		}
	}
	return nil
}

func (m *measuring) ownOnce(ctx context.Context, o own, run int, temporary string) (line ownRun, err error) {
	line = ownRun{Peer: o.peer, Name: o.name, Figure: o.figure, Run: run}
	kind := kindOf(o.peer)
	if m.made[kind.program] == nil {
		return line, errors.New("its program is not among those that were made")
	}
	if line.OwnNs, err = o.run(ctx, m, temporary); err != nil {
		return line, err
	}
	if line.OursNs, err = m.oursOnce(ctx, kind, o.figure, run); err != nil || !o.together {
		return line, err
	}
	together := *m
	together.together = true
	line.TogetherNs, err = together.oursOnce(ctx, kind, o.figure, run)
	return line, err
}

func (m *measuring) oursOnce(ctx context.Context, kind peerKind, figure string, run int) (float64, error) {
	cells, err := m.measure(ctx, kind, visit{threads: 1, payload: 64}, run)
	if err != nil {
		return 0, err
	}
	return figureOf(cells, figure)
}

// figureOf is that of all cells of a run, wherever the CPUs were: so it is with a benchmark of others.
func figureOf(cells []result.Cell, figure string) (float64, error) {
	var calls uint64
	var elapsed int64
	sum := stat.NewLatency()
	for _, c := range cells {
		calls, elapsed = calls+c.Ops, elapsed+c.ElapsedNs
		if l, err := stat.DecodeLatency(c.RTTHistogram); err == nil {
			sum.Merge(l)
		}
	}
	if figure == "mean" && calls > 0 {
		return float64(elapsed) / float64(calls), nil
	}
	if p50, ok := sum.Quantile(0.5); ok && figure == "p50" {
		return float64(p50), nil
	}
	return 0, fmt.Errorf("too few calls for a %s", figure)
}

// median50 is the line of a printed HDR histogram, in microseconds, that reaches half of the samples.
var median50 = regexp.MustCompile(`(?m)^\s*([0-9.]+)\s+(0\.5[0-9]*)\s+[0-9]+\s`)

// runEmbeddedPingPong takes the sample's own defaults but for channel, length and number of messages.
func runEmbeddedPingPong(ctx context.Context, m *measuring, temporary string) (float64, error) {
	command := m.made[programAeron]
	at := len(command) - 1 // the name of our class stands there
	folder := filepath.Join("/dev/shm", filepath.Base(temporary)+"-own")
	args := append(append([]string{}, command[1:at]...), "-Daeron.dir="+folder, "-Daeron.dir.delete.on.shutdown=true",
		"-Daeron.sample.ping.channel=aeron:ipc", "-Daeron.sample.pong.channel=aeron:ipc", "-Daeron.sample.messageLength=64",
		"-Daeron.sample.messages=1000000", "io.aeron.samples.EmbeddedPingPong")
	defer func() { _ = os.RemoveAll(folder) }()
	text, err := runWith(ctx, "n\n", command[0], args...)
	if err != nil {
		return 0, err
	}
	found := median50.FindStringSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("it printed no median: %s", lastLine(text))
	}
	us, err := strconv.ParseFloat(found[1], 64)
	return us * 1e3, err
}

// runWith is output of a program that reads an answer from its standard input.
func runWith(ctx context.Context, input, tool string, args ...string) (string, error) {
	var text, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &text, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", tool, err, lastLine(complaint.String()))
	}
	return text.String(), nil
}

var nsPerOp = regexp.MustCompile(`\s([0-9.]+) ns/op`)

// runShmipcBenchmark runs the benchmark in a copy of the module: that in the module cache cannot be
// written to.
func runShmipcBenchmark(ctx context.Context, m *measuring, temporary string) (float64, error) {
	here, err := sources(ctx)
	if err != nil {
		return 0, err
	}
	module, err := output(ctx, filepath.Join(here, "shmipc"), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cloudwego/shmipc-go")
	if err != nil {
		return 0, err
	}
	copied := filepath.Join(temporary, "shmipc-own")
	if _, err := os.Stat(copied); err != nil {
		if err := os.CopyFS(copied, os.DirFS(strings.TrimSpace(module))); err != nil {
			return 0, err
		}
	}
	text, err := output(ctx, copied, "go", "test", "-mod=mod", "-run", "^$", "-bench", "^BenchmarkParallelPingPongByShmipc64B$", "-cpu", "1",
		"-benchtime", "1s", ".")
	if err != nil {
		return 0, err
	}
	found := nsPerOp.FindStringSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("it printed no time: %s", lastLine(text))
	}
	return strconv.ParseFloat(found[1], 64)
}

// ownLines has a line for each benchmark.
func ownLines(l log) []string {
	lines := []string{"peer\tfigure\truns\tits own\tmin\tmax\tours\tmin\tmax\tours / its own\tours on one CPU\tbenchmark\t"}
	for _, runs := range result.Group(l.own, func(o ownRun) string { return o.Name }) {
		var theirs, ours, together []float64
		for _, o := range runs {
			theirs, ours = append(theirs, o.OwnNs), append(ours, o.OursNs)
			if o.TogetherNs > 0 {
				together = append(together, o.TogetherNs)
			}
		}
		onOne := "-"
		if len(together) > 0 {
			onOne = result.FormatNs(stat.Median(together))
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t", runs[0].Peer, runs[0].Figure, len(runs), threeOf(theirs, result.FormatNs),
			threeOf(ours, result.FormatNs), result.FormatSig3(stat.Median(ours)/stat.Median(theirs)), onOne, runs[0].Name))
	}
	return lines
}
