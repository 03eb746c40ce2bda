// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// config is what one invocation measures.
type config struct {
	exchange.Config // but for the number of callers and the rate
	threads         []int
	inFlight        []int // 0: blocking calls
	handlerTimes    []time.Duration
	concurrency     []int     // 0: handlers run on the serving goroutine
	rates           []float64 // 0: a closed loop
	runs            int
	extend          int // runs more, at most, where a distance is rare
	waitName        string
	out             string
}

const usage = `pingpong measures how many calls a second two processes exchange through dx.

It starts the guest process itself, warms up, measures, and between slices of
the measurement measures the bare cache line and a bare loop that moves the same
bytes between the same two CPUs, because machines change under a program's feet. A
hypervisor moves CPUs closer and apart: each slice of 100 ms counts for the distance (siblings
of a core, near, far) that the bare line had before and after it, and has a table and a line
in the chart for that distance. Where they moved meanwhile it is shown and not counted.

  go run ./experiments/pingpong -threads 8
  go run ./experiments/pingpong -threads 1,2,4,8 -payload 0 -runs 5 -duration 2s
  go run ./experiments/pingpong -threads 1 -host c -guest c -extend 20
  go run ./experiments/pingpong -host c -guest go -wait latency -yield-every 8
  go run ./experiments/pingpong -threads 1,8,64 -verify -transport shm -out out/mine
  go run ./experiments/pingpong -threads 1,8 -rate 1000,100000 -wait low-power
  go run ./experiments/pingpong -threads 1 -inflight 0,1,4,16,32 -host c -guest c
  go run ./experiments/pingpong -threads 64 -handler-time 0,1us,1ms -concurrency 0,64
  go run ./experiments/pingpong -threads 1,4,8 -transport ivshmem
  go run ./experiments/pingpong -threads 1,4 -transport ivshmem -direction guest-host
  go run ./experiments/pingpong -threads 1 -transport ivshmem-doorbell -spin-max 0

Each caller makes its next call when the one before is answered: a closed loop.
With -inflight each caller keeps so many calls in flight by a queue, and makes the next
one when one of them is answered; the bare loop then has as many lines under way.
With -rate it also measures open loops, in which calls start by a schedule, spread
evenly, and each call's time counts from when it was to start, late or not.

With -transport ivshmem the guest runs in a virtual machine, which QEMU boots in some
seconds: the same program, on Debian's cloud kernel, which is fetched once. The two
bare loops then cross the boundary, too. docs/vm.md says what that needs. With
ivshmem-doorbell a side that parks is woken by an interrupt (docs/doorbell.md), where
ivshmem can only look again after -poll. The results' "park" says how both sides slept.

It prints a table and leaves result.jsonl, ops.png, ops.svg, table.txt and
environment.json in -out; with -inflight also inflight.png and inflight.svg. Ctrl-C keeps what was measured.
Exit code: 0 all right, 1 wrong content, failed calls or a failed run, 2 wrong
flags or a machine that cannot do it, 130 interrupted.

Flags:
`

// parse reads the flags; its errors are for people.
func parse(args []string, stderr io.Writer) (config, error) {
	c := config{Config: exchange.Default()}
	fs := command.Flags("pingpong", usage, stderr)
	threads := fs.String("threads", "1,2,4,8", "callers: a number or a list; goroutines, or threads of a side in C")
	fs.IntVar(&c.Payload, "payload", 64, "bytes of each request and each response")
	fs.DurationVar(&c.Duration, "duration", time.Second, "of the throughput part of one run; the latency part takes half as long")
	fs.IntVar(&c.runs, "runs", 5, "runs of each number of callers")
	fs.IntVar(&c.extend, "extend", 0, fmt.Sprintf("runs more, at most, while a distance that was met has fewer than %d slices", result.SlicesWanted))
	fs.StringVar(&c.Direction, "direction", result.HostToGuest, "who calls: host-guest, guest-host (closed loops, host in Go)")
	fs.StringVar(&c.Host, "host", "go", "language of the host: go, c")
	fs.StringVar(&c.Guest, "guest", "go", "language of the guest: go, c")
	fs.StringVar(&c.Path, "path", "native", "how Go calls, and answers the host: native, cgo")
	fs.StringVar(&c.Transport, "transport", "memfd", "memfd (leaves no name behind), shm, file, unix (rendezvous at a socket), ivshmem (the guest runs in a virtual machine), ivshmem-doorbell (and is woken by interrupt)")
	fs.StringVar(&c.GuestRelax, "guest-relax", exchange.RelaxAuto, "of ivshmem and ivshmem-doorbell, in the guest between looks: none, pause, auto (none, unless the bare loop does better with pause)")
	fs.StringVar(&c.waitName, "wait", "balanced", "wait strategy: a TOML file or a preset: "+strings.Join(dx.PresetNames(), ", "))
	fs.IntVar(&c.Histogram, "histogram", 0, "measure one call in `N` by dx's histograms meanwhile, to see what that costs (0: none)")
	fs.BoolVar(&c.Verify, "verify", false, "check the content of every call")
	fs.StringVar(&c.Pin, "pin", "auto", "CPUs: auto gives each side its half, none lets the kernel choose")
	fs.IntVar(&c.Procs, "procs", 0, "GOMAXPROCS of a Go side; 0: the CPUs of its half")
	fs.BoolVar(&c.LockOSThread, "lock-os-thread", false, "tie each calling and serving goroutine to a thread of its own")
	inFlight := fs.String("inflight", "0", "calls of each caller at a time, by a queue: a number or a list; 0: blocking calls")
	handlerTimes := fs.String("handler-time", "0", "what each handler of a guest takes: a time or a list; from 100us on it sleeps, else it computes")
	concurrency := fs.String("concurrency", "0", "handlers of a guest in Go at once, each on a goroutine of its own: a number or a list; 0: on the serving goroutine")
	rates := fs.String("rate", "", "also open loops of so many calls a second of all callers: a number or a list")
	fs.StringVar(&c.Pace, "pace", exchange.PaceSleep, "an open loop waits for a start by: sleep (cheap, some 10 us late), spin (on time, for few callers)")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/pingpong-TIME")
	overrides := map[string]*string{}
	for _, f := range waitFlags() {
		overrides[f.name] = fs.String(f.name, "", "wait strategy: "+f.help)
	}
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	var err error
	if c.threads, err = parseNumbers("threads", "callers", *threads, 1); err != nil {
		return c, err
	}
	if c.inFlight, err = parseNumbers("inflight", "calls", *inFlight, 0); err != nil {
		return c, err
	}
	if c.handlerTimes, err = parseTimes("handler-time", *handlerTimes); err != nil {
		return c, err
	}
	if c.concurrency, err = parseNumbers("concurrency", "handlers", *concurrency, 0); err != nil {
		return c, err
	}
	if c.rates, err = parseRates(*rates); err != nil {
		return c, err
	}
	if c.Wait, err = parseWait(c.waitName, overrides); err != nil {
		return c, err
	}
	c.out = command.Folder(c.out, "pingpong")
	return c, c.check()
}

// parseNumbers reads a list of numbers from least to exchange.ThreadsMax.
func parseNumbers(flag, what, text string, least int) ([]int, error) {
	var numbers []int
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < least || n > exchange.ThreadsMax {
			return nil, fmt.Errorf("-%s %q: %q is no number of %s from %d to %d", flag, text, part, what, least, exchange.ThreadsMax)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// parseTimes reads a list of times; 0 needs no unit.
func parseTimes(flag, text string) ([]time.Duration, error) {
	var times []time.Duration
	for _, part := range strings.Split(text, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(part))
		if err != nil || d < 0 || d > exchange.HandlerMax {
			return nil, fmt.Errorf("-%s %q: %q is no time from 0 to %v, such as 1us", flag, text, part, exchange.HandlerMax)
		}
		times = append(times, d)
	}
	return times, nil
}

// parseRates puts the closed loop before the open ones.
func parseRates(text string) ([]float64, error) {
	rates := []float64{0}
	if text == "" {
		return rates, nil
	}
	for _, part := range strings.Split(text, ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(rate > 0 && rate <= exchange.RateMax) {
			return nil, fmt.Errorf("-rate %q: %q is no rate above 0 and up to %g calls/s", text, part, exchange.RateMax)
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

func parseWait(name string, overrides map[string]*string) (dx.Wait, error) {
	w, err := dx.LoadWait(name)
	if err != nil {
		return w, fmt.Errorf("-wait: %w", err)
	}
	for _, f := range waitFlags() {
		text := *overrides[f.name]
		if text == "" {
			continue
		}
		if err := f.set(&w, text); err != nil {
			return w, fmt.Errorf("-%s: %w", f.name, err)
		}
	}
	exchange.FitSpin(&w, *overrides["spin-min"] != "", *overrides["spin-start"] != "")
	return w, nil
}

// cells is what one round measures.
func (c config) cells() (cells []exchange.Config) {
	base := c.Config
	base.Dir = c.out
	for _, base.RatePerS = range c.rates {
		for _, base.HandlerTime = range c.handlerTimes {
			for _, base.Concurrency = range c.concurrency {
				for _, base.InFlight = range c.inFlight {
					for _, base.Threads = range c.threads {
						cells = append(cells, base)
					}
				}
			}
		}
	}
	return cells
}

func (c config) check() error {
	if err := command.Within("runs", c.runs, 1, 10000); err != nil {
		return err
	}
	if err := command.Within("extend", c.extend, 0, 10000); err != nil {
		return err
	}
	for _, cell := range c.cells() {
		if err := exchange.FlagError(cell.Check()); err != nil {
			return err
		}
	}
	return nil
}
