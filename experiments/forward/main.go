// SPDX-License-Identifier: Apache-2.0

// Forward measures what a program that speaks TCP pays for the way into a virtual machine: dx
// forward, QEMU's user networking, and a virtio-serial port. See -h.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
)

const usage = `forward measures what a program that speaks TCP pays for the way into a virtual machine.

  go run ./experiments/forward
  go run ./experiments/forward -transport ivshmem
  go run ./experiments/forward -runs 1 -duration 200ms

The ways, all in one boot of one machine: dx forward, one process on each side, over ivshmem;
a virtio network card and QEMU's user networking; and a virtio-serial port, which is one stream
of bytes and no TCP. The programs at both ends are the same ones, in Go by package net.

Of each way it measures the round trip of one byte, and how many bytes a second come through in
each direction, with one connection and with four at once. What comes first over each connection
is compared byte by byte; the rest is counted. The cost is the CPU time of this process, of dx
forward beside it, and of all of QEMU. Ways take turns, run by run. It takes about two minutes.

It prints a table and leaves result.jsonl, table.txt and environment.json in -out. Ctrl-C keeps
what was measured. Exit code: 0 all right, 1 a failed run, 2 wrong flags, 130 interrupted.

Flags:
`

// config is what one invocation measures.
type config struct {
	runs      int
	duration  time.Duration
	transport string
	buffer    string
	out       string
}

func main() {
	peer.Become()
	command.Into("forward", parse, func(c config) string { return c.out }, measureAll)
}

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := command.Flags("forward", usage, stderr)
	fs.IntVar(&c.runs, "runs", 5, "runs of each way, interleaved")
	fs.DurationVar(&c.duration, "duration", time.Second, "of one measurement in one run, about")
	fs.StringVar(&c.transport, "transport", boundary.TransportDoorbell, "of dx forward: ivshmem-doorbell, or ivshmem, where both sides look at the memory")
	fs.StringVar(&c.buffer, "buffer", "32K", "of dx forward: bytes that can be under way in each direction of a connection")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/forward-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	c.out = command.Folder(c.out, "forward")
	return c, cmp.Or(command.Within("runs", c.runs, 1, 1000),
		command.Within("duration", c.duration, 10*time.Millisecond, time.Minute),
		command.OneOf("transport", c.transport, boundary.Transport, boundary.TransportDoorbell))
}

// measureAll measures each way in turn, and reports also what an interruption left.
func measureAll(ctx context.Context, c config) int {
	e := env.Capture(".")
	bar := progress.New("forward", c.runs*len(ways))
	all, err := measure(ctx, c, &e, bar)
	bar.Close()
	if len(all) > 0 {
		err = errors.Join(err, report(c, e, all))
	}
	return command.Code(ctx, "forward", err, "complete measurements are kept in "+c.out)
}

func measure(ctx context.Context, c config, e *env.Environment, bar *progress.Bar) (all []measured, err error) {
	w, err := result.OpenWriter(c.out)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	bar.Note("compiling dx")
	s, err := setUp(ctx, c, bar.Note)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	e.Accelerator = s.machine.Accelerator()
	keep := func(m measured) error {
		m.Experiment, m.Transport, m.Buffer = "forward", c.transport, c.buffer
		m.Accelerator, m.EnvCommit = e.Accelerator, e.Commit()
		all = append(all, m)
		return w.WriteLine(m)
	}
	for run := 1; run <= c.runs; run++ {
		for i := range ways {
			way := ways[(i+run-1)%len(ways)]
			bar.Describe(fmt.Sprintf("run %d of %d, %s", run, c.runs, way.name))
			if err := s.visit(ctx, way, run, keep); err != nil {
				return all, fmt.Errorf("%s, run %d: %w", way.name, run, err)
			}
			bar.Add(1)
		}
	}
	return all, nil
}

// report prints the table, and writes it and the environment to -out.
func report(c config, e env.Environment, all []measured) error {
	text := table(all)
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(c.out, "table.txt"), []byte(text), 0o644); err != nil {
		return err
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	fmt.Printf("\n%s, guest under %s\nresults: %s (result.jsonl, table.txt, environment.json)\n", e.Footer(), e.Accelerator, c.out)
	return nil
}
