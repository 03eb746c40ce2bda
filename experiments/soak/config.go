// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/ledger"
	"dx/go/dx"
)

// defaultTransport is what -transport is if nobody says.
const defaultTransport = "unix"

// config is what one invocation does.
type config struct {
	duration  time.Duration
	kills     int
	calls     uint64
	faults    float64
	kinds     []string
	scribble  bool
	era       int
	callers   int
	payload   int
	host      string
	guest     string
	transport string
	wait      dx.Wait
	waitName  string
	standby   bool
	hang      time.Duration
	seed      uint64
	pin       string
	out       string

	// For tests: the guest gives one wrong answer, to this request.
	wrongAt uint64
	// For tests: when guests give no more answers. hang is then this long.
	hangWhen moment
	hangLast time.Duration
}

const usage = `soak exchanges verified calls between two processes, and meanwhile kills, stops
and closes them, and writes garbage into their shared memory.

Every request has a number of its own, and its answer follows from it, so that
an answer that is wrong, old or somebody else's is found, and a request that is
handled twice as well. What was sent, answered and handled is written down in
memory that survives every kill.

  go run ./experiments/soak                      one minute, as it comes
  go run ./experiments/soak -kills 2000 -calls 100000000
  go run ./experiments/soak -host c -guest mixed -transport file -faults 10
  go run -asan ./experiments/soak -kinds none -scribble -duration 30m -host c -guest mixed

(with CGO_CFLAGS='-g -O1 -fsanitize=undefined' and CGO_LDFLAGS=-fsanitize=undefined
in the environment, UBSan watches the C side as well; whatever a process prints
on standard error, such as a sanitizer's report, is a failure)

-kills and -calls are goals: it ends when all that were given are reached, and
-duration, if given, is then the longest time to reach them. Recovery is
counted from the moment just before the kill is sent to the first verified call
with the new process; with -standby the new process has been started before and
waits. Faults come in eras: in each, one side's processes die and the other's
live through it, which is where leaks are looked for; behind each, both die.

It prints a report and leaves report.json, report.txt, events.jsonl (a line a
fault) and stderr.txt (what the processes said) in -out, and hang.txt (where
every thread was) if something hung. Ctrl-C ends it and keeps the report so far.
Exit code: 0 all right, 1 something was wrong (wrong answers, calls handled
twice, leaks, no recovery, a goal not reached), 2 wrong flags or a machine that
cannot do it, 130 interrupted.

Flags:
`

// parse reads the flags; its errors are for people.
func parse(args []string, stderr io.Writer) (config, error) {
	c := config{}
	fs := command.Flags("soak", usage, stderr)
	fs.DurationVar(&c.duration, "duration", 0, "how long; 0: a minute, or without limit if there is a goal")
	fs.IntVar(&c.kills, "kills", 0, "goal: so many kills survived; 0: no goal")
	fs.Uint64Var(&c.calls, "calls", 0, "goal: so many verified calls; 0: no goal")
	fs.Float64Var(&c.faults, "faults", 5, "faults a second, at random times; 0: none; each waits for the recovery before")
	kinds := fs.String("kinds", "kill,stop,close", "which faults: any of kill, stop, close, or none")
	fs.BoolVar(&c.scribble, "scribble", false, "also let a third process write garbage all over the region")
	fs.IntVar(&c.era, "era", 50, "faults that the other side lives through before both die")
	fs.IntVar(&c.callers, "callers", 4, "callers, each with a slot")
	fs.IntVar(&c.payload, "payload", 64, "bytes of the largest request and response")
	fs.StringVar(&c.host, "host", "go", "language of the calling side: go, c, mixed")
	fs.StringVar(&c.guest, "guest", "go", "language of the answering side: go, c, mixed")
	fs.StringVar(&c.transport, "transport", defaultTransport, "shm, file, unix")
	fs.StringVar(&c.waitName, "wait", "balanced", "wait strategy: a TOML file or a preset: "+strings.Join(dx.PresetNames(), ", "))
	fs.BoolVar(&c.standby, "standby", true, "keep the next process of each side started and waiting")
	fs.DurationVar(&c.hang, "hang", 30*time.Second, "how long without a call is a hang; recoveries and ends have as long")
	fs.Uint64Var(&c.seed, "seed", 0, "of the faults; 0: chosen and printed")
	fs.StringVar(&c.pin, "pin", "auto", "CPUs: auto gives each side its half, none lets the kernel choose")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/soak-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	if *kinds != "none" {
		c.kinds = strings.Split(*kinds, ",")
	}
	c.choose()
	if err := c.check(); err != nil {
		return c, err
	}
	var err error
	if c.wait, err = dx.LoadWait(c.waitName); err != nil {
		return c, fmt.Errorf("-wait: %w", err)
	}
	return c, nil
}

// choose fills in what was left open.
func (c *config) choose() {
	if c.duration == 0 && c.kills == 0 && c.calls == 0 {
		c.duration = time.Minute
	}
	if c.seed == 0 {
		c.seed = rand.Uint64() >> 16 // short enough to be typed
	}
	c.out = command.Folder(c.out, "soak")
}

func (c *config) check() error {
	err := errors.Join(
		command.OneOf("host", c.host, "go", "c", "mixed"),
		command.OneOf("guest", c.guest, "go", "c", "mixed"),
		command.OneOf("pin", c.pin, "auto", "none"),
	)
	for _, kind := range c.kinds {
		err = errors.Join(err, command.OneOf("kinds", kind, "kill", "stop", "close"))
	}
	if c.transport == "memfd" {
		return errors.New("-transport memfd: it has no name by which a new host could be found, " +
			"so a host cannot be restarted; take shm, file or unix")
	}
	err = errors.Join(err, command.OneOf("transport", c.transport, "shm", "file", "unix"))
	switch {
	case err != nil:
		return err
	case c.duration < 0:
		return fmt.Errorf("-duration %v: it cannot be negative", c.duration)
	case c.kills < 0:
		return fmt.Errorf("-kills %d: it cannot be negative", c.kills)
	case c.kills > 0 && (c.faults == 0 || !c.has("kill")):
		return fmt.Errorf("-kills %d: -faults and -kinds ask for no kill at all", c.kills)
	}
	return cmp.Or(
		command.Within("faults", c.faults, 0, 1000),
		command.Within("era", c.era, 1, 1e9),
		command.Within("callers", c.callers, 1, ledger.CallersMax),
		command.Within("payload", c.payload, ledger.LeastBytes, 1<<20),
		command.Within("hang", c.hang, 100*time.Millisecond, 1000*time.Hour),
	)
}

// has says whether faults of a kind are wanted.
func (c *config) has(kind string) bool { return slices.Contains(c.kinds, kind) }
