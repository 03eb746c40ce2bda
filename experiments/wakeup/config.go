// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/floor"
	"dx/go/dx"
)

// config is what one invocation measures.
type config struct {
	runs    int
	samples int
	longest time.Duration
	polls   []time.Duration
	sides   []string
	rate    float64
	idle    time.Duration
	repeats int // of the idle part
	out     string
}

const usage = `wakeup measures how long it takes to wake the other side when both sleep at once.

  go run ./experiments/wakeup
  go run ./experiments/wakeup -sides c -polls 50us -runs 9 -idle 0
  go run ./experiments/wakeup -rate 1000 -samples 2000 -idle 0
  go run ./experiments/wakeup -runs 0 -idle 10s -idle-runs 3

Every wait parks without a look before it (spin_max = 0), by futex, semaphore,
doorbell (an eventfd; transport unix) and timed poll; both sides in C, and both in
Go. One way cannot be timed honestly with two clocks, so that what is timed is the
round trip of a call: two wake-ups. Beside it stand round trips of two bare
processes in C that wake each other by futex, eventfd and pipe and do nothing else.
The next call starts when the one before is answered; with -rate calls start by a
schedule instead, so that both sides have slept for a while when one does.

Then it lets channels lie idle side by side, each with processes of its own, and
reads the CPU clocks of both sides: 1.5 seconds for the sleeps to lengthen, then -idle.
Beside them processes in C lie idle that only sleep, as long as an idle server (1 s)
and as the thread for the heartbeat (250 ms): what any wake-up costs here.

It prints two tables and leaves result.jsonl, idle.jsonl, table.txt and
environment.json in -out. Ctrl-C keeps what was measured.
Exit code: 0 all right, 1 failed calls or a failed run, 2 wrong flags or a machine
that cannot do it, 130 interrupted.

Flags:
`

func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := command.Flags("wakeup", usage, stderr)
	fs.IntVar(&c.runs, "runs", 5, "runs of each round trip, interleaved; 0 leaves them out")
	fs.IntVar(&c.samples, "samples", 12000, "round trips of a run, unless -longest is over first")
	fs.DurationVar(&c.longest, "longest", 5*time.Second, "of one run of one kind")
	polls := fs.String("polls", "50us,200us", "poll intervals (poll_ns): a list")
	sides := fs.String("sides", "c,go", "languages of both sides: a list of c, go")
	fs.Float64Var(&c.rate, "rate", 0, "calls a second of a schedule; 0: each when the one before is answered")
	fs.DurationVar(&c.idle, "idle", 10*time.Second, "how long channels lie idle; 0 leaves that out")
	fs.IntVar(&c.repeats, "idle-runs", 3, "runs of the idle part")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/wakeup-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	for _, text := range strings.Split(*polls, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if err != nil || d < time.Microsecond || d > time.Second {
			return c, fmt.Errorf("-polls %q: %q is no time from 1us to 1s", *polls, text)
		}
		c.polls = append(c.polls, d)
	}
	c.sides = strings.Split(*sides, ",")
	c.out = command.Folder(c.out, "wakeup")
	return c, c.check()
}

func (c config) check() error {
	for _, side := range c.sides {
		if err := command.OneOf("sides", side, "c", "go"); err != nil {
			return err
		}
	}
	if c.runs == 0 && c.idle == 0 {
		return errors.New("-runs 0 and -idle 0: nothing to measure")
	}
	err := cmp.Or(
		command.Within("runs", c.runs, 0, 1000),
		command.Within("samples", c.samples, 1, floor.MaxTrips),
		command.Within("longest", c.longest, exchange.DurationMin, time.Minute),
		command.Within("rate", c.rate, 0, 1e5),
		command.Within("idle-runs", c.repeats, 1, 1000),
	)
	if err == nil && c.idle != 0 {
		err = command.Within("idle", c.idle, time.Second, time.Hour)
	}
	return err
}

// A pair is one channel: how both of its sides sleep, and what they are written in.
type pair struct {
	Name   string
	Config exchange.Config
	Nap    time.Duration // no channel, but a process that sleeps so long each time
}

// The sleeps of a channel on which nobody calls: DX_IDLE_SLEEP_NS and
// DX_HEARTBEAT_SLOW_NS of libdx.
var idleSleeps = []time.Duration{time.Second, 250 * time.Millisecond}

// naps lists the processes that only sleep.
func (c config) naps() (all []pair) {
	for _, sleep := range idleSleeps {
		e := exchange.Config{Host: "c", Guest: "c", Transport: "none"}
		all = append(all, pair{"bare sleep " + sleep.String(), e, sleep})
	}
	return all
}

// pairs lists the channels.
func (c config) pairs() (all []pair) {
	add := func(name, transport string, park dx.Park, poll time.Duration) {
		for _, side := range c.sides {
			e := exchange.Default()
			e.Wait = exchange.ParkAtOnce(park, poll)
			e.Host, e.Guest, e.Transport, e.Payload = side, side, transport, 0
			all = append(all, pair{name, e, 0})
		}
	}
	add("futex", "memfd", dx.ParkFutex, 0)
	add("semaphore", "memfd", dx.ParkSem, 0)
	add("futex", "unix", dx.ParkFutex, 0)
	add("doorbell", "unix", dx.ParkDoorbell, 0)
	for _, poll := range c.polls {
		add("poll "+poll.String(), "memfd", dx.ParkPoll, poll)
	}
	return all
}
