// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dx/experiments/internal/command"
	"dx/experiments/internal/floor"
)

// config is what one invocation measures.
type config struct {
	peers    []peerKind
	payloads []int
	threads  []int
	rates    []float64
	runs     int
	duration time.Duration
	idle     time.Duration
	idleRuns int
	faults   []fault // not empty: they alone
	own      bool    // the peers' own benchmarks alone
	pin      string
	out      string
	from     string
	page     string
	vm       string        // results of boundary
	hangs    time.Duration // from when on a call of a trial counts as hanging
}

const usage = `peers measures the same exchange over dx and over what a user would pick instead.

  go run ./experiments/peers                      all of them: about 45 minutes
  go run ./experiments/peers -peers plain         those that need nothing from a registry or a package
  go run ./experiments/peers -peers dx-c,aeron,iceoryx2 -threads 1 -payload 64 -rate "" -runs 10
  go run ./experiments/peers -faults all -peers dx-c,aeron,iceoryx2,shmipc
  go run ./experiments/peers -own
  go run ./experiments/peers -from out/peers-20260102-150405
  go run ./experiments/peers -from out/peers-20260102-150405 -page docs/measurements/peers.md \
      -vm out/boundary-20260102-170405

A server and a client, each a process of its own on CPUs of its own, exchange requests and
responses: the client sends -payload bytes, the server answers with a copy, the client looks whether
it is the answer to this request. Measured are

  the first of -payload from each of -threads callers, each call after the one before;
  the other payloads from the first number of callers;
  the first payload from the first number of callers at each -rate, by a schedule: calls start
  evenly, and the time of each counts from when it was to start, late or not;
  -idle of nothing to do: CPU time and wake-ups of both sides, and the first call after it.

Peers take turns, run by run. Around every 100 ms of a measurement (500 ms of a schedule) both sides
are stopped, and the bare cache line between their two CPUs and a bare loop that copies the same
bytes are measured. A hypervisor moves CPUs closer and apart: what was measured at one distance has a
table of its own, and where they moved meanwhile it does not count.

Peers, each as its own documentation recommends for latency, and NAME-default as it comes:

%s
Programs are in experiments/peers/NAME. What they need comes from Debian, Go modules, crates and
Maven, by their own clients, on first use, and is kept in the user's cache folder. What cannot be had
is said and left out.

With -faults nothing is measured: a side is killed, stopped or started twice amid calls, and it is said
what the other does, what is left behind, and whether calls go on. faults.jsonl and trials.txt keep
it. With -own the benchmarks that aeron and shmipc bring run in turn with ours: own.jsonl, trials.txt.

It prints tables and leaves result.jsonl, idle.jsonl, left_out.jsonl, table.txt, environment.json, and the charts
rate, cpu, latency and payload as PNG and SVG in -out. Ctrl-C keeps what was measured. With -from it
reports of a folder of results once more; with -page it writes them as a page, charts beside it. With
-vm the page has a section on the ways into a virtual machine, which experiments/boundary measures.
Exit code: 0 all right, 1 a peer failed, wrong answers or a failed run, 2 wrong flags or a machine
that cannot do it, 130 interrupted.

Flags:
`

// described lists the peers.
func described() string {
	var text strings.Builder
	for _, p := range all {
		fmt.Fprintf(&text, "  %-15s %s\n", p.name, p.as)
	}
	return text.String()
}

const (
	callersMax = 256
	rateMax    = 1e7
)

func parse(args []string, stderr io.Writer) (config, error) {
	c := config{hangs: hangs}
	fs := command.Flags("peers", fmt.Sprintf(usage, described()), stderr)
	peers := fs.String("peers", "all", "which: all, plain, or a list of names")
	payloads := fs.String("payload", "64,1024,16384,131072,1048576", "bytes of each request and each response: a list, 8 to 1048576")
	threads := fs.String("threads", "1,8", "callers: a list")
	rates := fs.String("rate", "1000,10000", "calls a second by a schedule: a list; empty: none")
	fs.IntVar(&c.runs, "runs", 5, "runs of everything, interleaved")
	fs.DurationVar(&c.duration, "duration", 500*time.Millisecond, "of the throughput part of one visit; the latency part takes half as long, and a schedule as long")
	fs.DurationVar(&c.idle, "idle", 10*time.Second, "how long nobody calls, in one run of each peer; 0 leaves that out")
	fs.IntVar(&c.idleRuns, "idle-runs", 2, "in how many of the runs nobody calls for a while")
	faults := fs.String("faults", "", "let go wrong, and measure nothing: all, or a list of "+strings.Join(faultNames(), ", "))
	fs.BoolVar(&c.own, "own", false, "run the own benchmarks of aeron and shmipc, unchanged, in turn with ours, and nothing else")
	fs.StringVar(&c.pin, "pin", "auto", "CPUs: auto gives each side its half, none lets the kernel choose")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/peers-TIME")
	fs.StringVar(&c.from, "from", "", "measure nothing: report of this folder of results")
	fs.StringVar(&c.page, "page", "", "with -from: write this page, and its charts beside it")
	fs.StringVar(&c.vm, "vm", "", "with -page: a folder of results of experiments/boundary, for a section of the page")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	var errPeers, errPayloads, errThreads, errRates, errFaults error
	c.peers, errPeers = selected(*peers)
	c.payloads, errPayloads = numbers("payload", *payloads, 8, floor.MaxExchangeBytes)
	c.threads, errThreads = numbers("threads", *threads, 1, callersMax)
	c.rates, errRates = parseRates(*rates)
	c.faults, errFaults = parseFaults(*faults)
	if c.out == "" {
		c.out = c.from
	}
	c.out = command.Folder(c.out, "peers")
	return c, cmp.Or(errPeers, errPayloads, errThreads, errRates, errFaults, c.check())
}

func (c config) check() error {
	if c.page != "" && c.from == "" {
		return errors.New("-page needs the results of -from")
	}
	if c.vm != "" && c.page == "" {
		return errors.New("-vm is for a -page")
	}
	return cmp.Or(
		command.Within("runs", c.runs, 1, 1000),
		command.Within("duration", c.duration, 10*time.Millisecond, time.Minute),
		command.Within("idle", c.idle, 0, time.Hour),
		command.Within("idle-runs", c.idleRuns, 1, 1000),
		command.OneOf("pin", c.pin, "auto", "none"),
	)
}

func numbers(flag, text string, low, high int) (all []int, err error) {
	for _, part := range strings.Split(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < low || n > high {
			return nil, fmt.Errorf("-%s %q: %q is no number from %d to %d", flag, text, part, low, high)
		}
		all = append(all, n)
	}
	return all, nil
}

func parseRates(text string) (rates []float64, err error) {
	if text == "" {
		return nil, nil
	}
	for _, part := range strings.Split(text, ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil || !(rate > 0 && rate <= rateMax) {
			return nil, fmt.Errorf("-rate %q: %q is no rate above 0 and up to %g calls/s", text, part, rateMax)
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

// parseFaults are those of a list, in the order of faults.
func parseFaults(list string) (found []fault, err error) {
	if list == "" {
		return nil, nil
	}
	wanted := strings.Split(list, ",")
	for _, name := range wanted {
		if err := command.OneOf("faults", name, append(faultNames(), "all")...); err != nil {
			return nil, err
		}
	}
	for _, f := range faults {
		if slices.Contains(wanted, f.name) || slices.Contains(wanted, "all") {
			found = append(found, f)
		}
	}
	return found, nil
}

// visit is what one pair of processes is measured by: a closed loop, and then the schedules.
type visit struct {
	threads, payload int
	rates            []float64
	idle             bool // and then nothing for a while, in some of the runs
}

// visits are those of a run.
func (c config) visits() (visits []visit) {
	for i, threads := range c.threads {
		v := visit{threads: threads, payload: c.payloads[0]}
		if i == 0 {
			v.rates, v.idle = c.rates, c.idle > 0
		}
		visits = append(visits, v)
	}
	for _, payload := range c.payloads[1:] {
		visits = append(visits, visit{threads: c.threads[0], payload: payload})
	}
	return visits
}
