// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/frame"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// config is what one invocation measures.
type config struct {
	sizes      []size
	directions []result.Direction
	variants   []string
	rings      []int // of overlapped
	chunks     []int
	frames     int // of each run of each cell
	runs       int
	warmup     int
	isolated   bool // the receiver's phases one by one, beside the transfer
	transport  string
	wait       dx.Wait
	waitName   string
	pinned     bool
	fault      frame.Fault
	faultEach  int
	timeout    time.Duration
	baseline   bool
	out        string
}

const usage = `frames measures how large payloads cross shared memory, phase by phase.

It starts the guest process itself. Every frame has content of its own with its
sequence number inside, and is verified by SHA-256. Each phase has a timer of its
own, on one side's clock; making frames, flushing caches and verifying lie outside
every other phase. Beside each frame the same bytes are copied by one memcpy.

  go run ./experiments/frames
  go run ./experiments/frames -sizes 4K -variants zero_copy -frames 200
  go run ./experiments/frames -sizes 4KiB..64MiB -variants copy,zero_copy
  go run ./experiments/frames -sizes 4K -variants overlapped -ring 256KiB,1MiB,4MiB
  go run ./experiments/frames -sizes 4K -direction guest-host
  go run ./experiments/frames -sizes 4K -frames 20 -fault flip
  go run ./experiments/frames -sizes 1080p -frames 5 -transport ivshmem

Variants:
  copy        the sender writes the frame into the region, then the receiver copies it out
  zero_copy   the frame is made in the region and read there: nothing is copied
  overlapped  a stream through a ring: the receiver copies while the sender still writes

Directions: host-guest, where the host sends; guest-host, where it asks and the guest sends.

Phases (the names of result.jsonl); total_ns and exchange_ns are by the host's clock:
  generate_ns     sender makes the frame; not part of anything else
  host_write_ns   host-guest: host's memory to region
  guest_write_ns  guest-host: guest's memory to region
  notify_ns       an exchange that carries nothing, by itself: host to guest and back
  copy_ns         receiver copies the frame out of the region, caches as they are;
                  overlapped: from its start to the last byte, waits included
  read_ns         receiver loads every byte in place, caches as they are
  exchange_ns     host-guest: from the announcement to the acknowledgement: holds copy_ns
                  or read_ns; guest-host: from asking to the answer: holds guest_write_ns;
                  overlapped: what is left when the host has written, or read, its last byte
  total_ns        host-guest: from the first byte written to the acknowledgement;
                  guest-host: from asking to the last byte copied or read
  acknowledge_ns  an exchange after all that, in which the guest repeats the number
  taken_up_ns     host-guest: from asking for the verification until the host sees that the
                  guest has taken it up, the first phase of an acknowledgement in two
  verify_ns       receiver: SHA-256 by OpenSSL
  memcpy_ns       sender: the same bytes by one memcpy, from where the frame was made;
                  in turn right before and right after the transfer
and with -phases all, but for overlapped, each a pass of its own over the frame that lies there:
  read_hot_ns     every byte, right after a pass that was not timed
  read_cold_ns    every byte, flushed from all caches before
  strided_ns      one load of 8 bytes in each line of 64, flushed before
  copy_cold_ns    copy, source and destination flushed before
  write_cold_ns   stores to the receiver's own memory only, flushed before

It prints tables and leaves result.jsonl, four CSV files, table.txt,
environment.json, membw.json, performance_report.txt, report.html and charts in
-out; "go run ./experiments/plot FOLDER" draws them again. MB is 10^6 bytes, MiB
2^20. Ctrl-C keeps what was measured.
Exit code: 0 all right, 1 failed frames or a failed run, 2 wrong flags or a machine
that cannot do it, 130 interrupted.

Flags:
`

// Variants.
const (
	variantCopy       = "copy"
	variantZeroCopy   = "zero_copy"
	variantOverlapped = "overlapped"
)

// raw is a direction as package frame says it.
func raw(d result.Direction) frame.Direction {
	if d == result.GuestToHost {
		return frame.ToHost
	}
	return frame.ToGuest
}

var variantNames = []string{variantCopy, variantZeroCopy, variantOverlapped}

var faults = map[string]frame.Fault{"none": frame.FaultNone, "flip": frame.FaultFlip,
	"skip-write": frame.FaultSkipWrite, "skip-copy": frame.FaultSkipCopy}

// parse reads the flags; its errors are for people.
func parse(args []string, stderr io.Writer) (config, error) {
	var c config
	fs := command.Flags("frames", usage, stderr)
	sizes := fs.String("sizes", "1080p,1440p,4K", "list of 1080p, 1440p, 4K (24 bits a pixel), sizes such as 64KiB, and ranges such as 4KiB..64MiB (by factors of 4)")
	variants := fs.String("variants", strings.Join(variantNames, ","), "list of ways to hand a frame over")
	way := fs.String("direction", "host-guest,guest-host", "list of ways that frames go: host-guest, guest-host")
	fs.IntVar(&c.frames, "frames", 20, "frames of each size, direction and variant in each run; an even number weighs both orders of memcpy and transfer alike")
	fs.IntVar(&c.runs, "runs", 5, "runs, each with a new region and a new guest; all sizes, directions and variants in turn")
	fs.IntVar(&c.warmup, "warmup", 2, "frames before those that count, after the one of the first touch")
	rings := fs.String("ring", "1MiB", "list of sizes of the ring, for overlapped")
	chunks := fs.String("chunk", "128KiB", "list of bytes after which a side publishes its progress, for overlapped")
	phases := fs.String("phases", "all", "all, or transfer: without the receiver's passes one by one and the counters")
	fs.StringVar(&c.transport, "transport", "memfd", "memfd (leaves no name behind), shm, file, unix (rendezvous at a socket), ivshmem (the guest runs in a virtual machine), ivshmem-doorbell (and is woken by interrupt)")
	fs.StringVar(&c.waitName, "wait", "spin", "wait strategy: spin (latency, but never sleeps), a TOML file or a preset: "+strings.Join(dx.PresetNames(), ", "))
	pin := fs.String("pin", "auto", "CPUs: auto gives each side its half, none lets the kernel choose")
	fault := fs.String("fault", "none", "spoil frames, which verification must find: flip (a bit), skip-write, skip-copy")
	fs.IntVar(&c.faultEach, "fault-each", 5, "every so many frames, with -fault")
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "of one exchange")
	fs.BoolVar(&c.baseline, "baseline", true, "first measure the bandwidth of the caches and the memory, 5 to 20 s")
	fs.StringVar(&c.out, "out", "", "folder of the results; default out/frames-TIME")
	if err := command.Parse(fs, args); err != nil {
		return c, err
	}
	var known bool
	if c.fault, known = faults[*fault]; !known {
		return c, fmt.Errorf("-fault %q is none of: none, flip, skip-write, skip-copy", *fault)
	}
	for _, name := range strings.Split(*way, ",") {
		if err := command.OneOf("direction", name, result.HostToGuest, result.GuestToHost); err != nil {
			return c, err
		}
		c.directions = append(c.directions, result.Direction(name))
	}
	c.variants = strings.Split(*variants, ",")
	c.isolated, c.pinned = *phases == "all", *pin == "auto"
	err := cmp.Or(
		command.OneOf("phases", *phases, "all", "transfer"),
		command.OneOf("pin", *pin, "auto", "none"),
		command.OneOf("transport", c.transport, "memfd", "shm", "file", "unix", boundary.Transport, boundary.TransportDoorbell),
	)
	if err != nil {
		return c, err
	}
	return c.complete(*sizes, *rings, *chunks)
}

// complete reads what needs more than a look, and checks the rest.
func (c config) complete(sizes, rings, chunks string) (config, error) {
	var err error
	if c.sizes, err = parseSizes(sizes); err != nil {
		return c, fmt.Errorf("-sizes: %w", err)
	}
	if c.rings, err = parseList(rings, ringMin, frame.BytesMax); err != nil {
		return c, fmt.Errorf("-ring: %w", err)
	}
	if c.chunks, err = parseList(chunks, frame.Step, frame.BytesMax); err != nil {
		return c, fmt.Errorf("-chunk: %w", err)
	}
	if c.wait, err = parseWait(c.waitName); err != nil {
		return c, fmt.Errorf("-wait: %w", err)
	}
	for _, v := range c.variants {
		if err := command.OneOf("variants", v, variantNames...); err != nil {
			return c, err
		}
	}
	c.out = command.Folder(c.out, "frames")
	return c, cmp.Or(
		command.Within("frames", c.frames, 1, 1e6),
		command.Within("runs", c.runs, 1, 1e4),
		command.Within("warmup", c.warmup, 0, 1e4),
		command.Within("fault-each", c.faultEach, 1, 1e6),
		command.Within("timeout", c.timeout, time.Millisecond, time.Hour),
	)
}

// parseWait knows one strategy more than the library: a side that sleeps while the
// other makes or verifies a frame, for tens of milliseconds, would add the time of
// waking it to the next phase.
func parseWait(name string) (dx.Wait, error) {
	if name != "spin" {
		return dx.LoadWait(name)
	}
	w, err := dx.Preset("latency")
	if err == nil {
		err = w.Park.UnmarshalText([]byte("never"))
	}
	return w, err
}
