// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"io"
	"strings"
	"time"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/floor"
)

// config is what one invocation measures.
type config struct {
	runs        int
	samples     int
	longest     time.Duration
	rate        float64
	scheduled   time.Duration
	idle        time.Duration
	idleRuns    int
	payload     int
	pin         string
	out         string
	wanted      []string      // ways, by their flags; none: all that this machine has
	peerTimeout time.Duration // of a peer that counts as dead; 0: as the strategy says
	vsock       string        // the host's device for it
}

// least is how long a closed loop goes on at least: a way that spins has its samples in no time, and
// its rate is compared.
const least = 300 * time.Millisecond

const usage = `boundary compares the ways from a host into a virtual machine, all in the same one.

  go run ./experiments/boundary
  go run ./experiments/boundary -runs 15 -idle-runs 5
  go run ./experiments/boundary -runs 1 -longest 500ms -idle 0
  go run ./experiments/boundary -ways spin,doorbell-c,vsock

The ways: dx that polls; dx that spins (preset latency) and then waits for a doorbell; dx that
waits for a doorbell at once; dx that looks again after poll_ns; and what one would have taken
without dx: a virtio-serial port, TCP over a virtio network card and QEMU's user networking,
and vsock, all by blocking reads and writes. One caller, both sides in Go (one way in C), the
content of every call verified. Beside them stands a bare loop in C that rings and waits for a
ring and does nothing else: no parked call can be faster. Polling is measured twice, which says
how far the same thing lies from itself.

Vsock needs the host's kernel module vhost_vsock. Where vsock cannot be had, the program says
what is missing, leaves it out, and keeps that in left_out.jsonl.

Each is measured three times: with each call made when the one before is answered; with
-rate calls a second by a schedule; and with nobody calling, beside the machine in which
nothing of ours runs. The cost is the CPU time of this process and of all of QEMU. Ways
take turns, run by run, in one boot of one machine. It takes less than three minutes.

It prints a table and leaves result.jsonl, idle.jsonl, left_out.jsonl, table.txt,
boundary.png, boundary.svg and environment.json in -out. Ctrl-C keeps what was measured.
Exit code: 0 all right, 1 wrong content, failed calls or a failed run, 2 wrong flags or
a machine that cannot do it or lacks a way that -ways names, 130 interrupted.

Flags:
`

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{vsock: boundary.VsockDevice}
	fs := command.Flags("boundary", usage, stderr)
	fs.IntVar(&c.runs, "runs", 5, "runs of each way, interleaved")
	fs.IntVar(&c.samples, "samples", 2000, "round trips of a run, unless -longest is over first; 10000 in all runs give a p99")
	fs.DurationVar(&c.longest, "longest", 2*time.Second, "of one run of one way that is asked again at once")
	fs.Float64Var(&c.rate, "rate", 300, "calls a second of the schedule; 0 leaves that part out")
	fs.DurationVar(&c.scheduled, "scheduled", 800*time.Millisecond, "how long one run of one way is called by the schedule")
	fs.DurationVar(&c.idle, "idle", time.Second, "how long nobody calls, in one run of each way; 0 leaves that out")
	fs.IntVar(&c.idleRuns, "idle-runs", 2, "in how many of the runs nobody calls for a while")
	fs.IntVar(&c.payload, "payload", 64, "bytes of each request and each response")
	list := fs.String("ways", "all", "which: all that this machine has, or a list of "+strings.Join(flags(), ", "))
	fs.StringVar(&c.pin, "pin", "auto", "CPUs: auto gives each side its half, none lets the kernel choose")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/boundary-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	c.out = command.Folder(c.out, "boundary")
	var err error
	if c.wanted, err = parseWays(*list); err != nil {
		return c, err
	}
	return c, c.check()
}

func (c config) check() error {
	err := cmp.Or(
		command.Within("runs", c.runs, 1, 1000),
		command.Within("samples", c.samples, 1, floor.MaxTrips),
		command.Within("longest", c.longest, exchange.DurationMin, time.Minute),
		command.Within("rate", c.rate, 0, 1e5),
		command.Within("scheduled", c.scheduled, exchange.DurationMin, time.Minute),
		command.Within("idle-runs", c.idleRuns, 1, 1000),
		command.Within("payload", c.payload, 8, 4096),
	)
	if err == nil && c.idle != 0 {
		err = command.Within("idle", c.idle, exchange.DurationMin, time.Hour)
	}
	if err != nil {
		return err
	}
	for _, w := range c.ways() {
		if err := w.config.Check(); err != nil {
			return err
		}
	}
	return nil
}
