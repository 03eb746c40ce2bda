// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/boundary"
	"dx/experiments/internal/env"
	"dx/experiments/internal/frame"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/membw"
	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
	"dx/go/dx"
	"dx/libdx"
)

// log is what was measured.
type log struct {
	records    []frames.Record
	firstTouch []frames.Record
	memory     []memoryRecord
	waits      []waitsRecord
}

// memoryRecord says what a run of a cell cost in memory: a line of result.jsonl.
type memoryRecord struct {
	Experiment string           `json:"experiment"` // frames_memory
	Run        int              `json:"run"`
	Frame      string           `json:"frame"`
	SizeBytes  int              `json:"size_bytes"`
	Variant    string           `json:"variant"`
	Direction  result.Direction `json:"direction"`
	RingBytes  int              `json:"ring_bytes,omitempty"`
	// RegionBytes is the shared memory. The others are private memory that each side had gained from
	// the first frame to the last, without the experiment's own buffers for frames.
	RegionBytes uint64 `json:"region_bytes"`
	HostGained  int64  `json:"host_gained_bytes"`
	GuestGained int64  `json:"guest_gained_bytes"`
}

// runner measures all cells.
type runner struct {
	c        config
	halves   affinity.Halves
	commit   string
	out      *result.Writer
	bar      *progress.Bar
	log      log
	sequence uint64
	machines boundary.Pool // of ivshmem
	levels   []membw.Level
}

// runAll runs all cells in turn, c.runs times, so that a drift of the machine meets
// all of them alike.
func runAll(ctx context.Context, c config, e env.Environment) (l log, err error) {
	r := &runner{c: c, commit: e.Commit()}
	if r.halves, err = affinity.Split(); err != nil {
		return l, err
	}
	if r.levels, err = membw.Levels(r.halves.Host[0], 0); err != nil {
		return l, err
	}
	if c.pinned {
		if err := affinity.Pin(r.halves.Host); err != nil {
			return l, err
		}
		defer func() { _ = r.halves.Restore() }()
	}
	if r.out, err = result.OpenWriter(c.out); err != nil {
		return l, err
	}
	r.bar = progress.New("frames", c.runs*c.frames*len(c.cells()))
	defer func() {
		r.bar.Close()
		err = errors.Join(err, r.out.Close(), r.machines.Close())
	}()
	var failures []error
	for run := 1; run <= c.runs && ctx.Err() == nil; run++ {
		for _, one := range c.cells() {
			if ctx.Err() != nil {
				break
			}
			r.bar.Describe(fmt.Sprintf("run %d of %d, %s", run, c.runs, one))
			// A guest that is gone ends its cell, and no other one.
			if err := r.cell(ctx, one, run); err != nil && ctx.Err() == nil {
				err = fmt.Errorf("run %d, %s: %w", run, one, err)
				r.bar.Note(err.Error())
				failures = append(failures, err)
			}
		}
	}
	return r.log, errors.Join(failures...)
}

// cell measures one run of one cell.
func (r *runner) cell(ctx context.Context, of cell, run int) (err error) {
	machine, err := r.machine(ctx)
	if err != nil {
		return err
	}
	p, err := openPair(ctx, r.c, of, r.halves, r.sequence, machine)
	if err != nil {
		return err
	}
	defer func() {
		r.sequence = p.sequence
		err = errors.Join(err, p.close())
	}()
	template := r.template(p, run)
	first := template
	first.Experiment = frames.FirstTouch
	if err := p.frame(&first, frame.FaultNone); err != nil {
		return err
	}
	r.log.firstTouch = append(r.log.firstTouch, first)
	if err := r.out.WriteLine(first); err != nil {
		return err
	}
	for range r.c.warmup {
		discarded := template
		if err := p.frame(&discarded, frame.FaultNone); err != nil {
			return err
		}
	}
	hostBefore, guestBefore, err := p.host.Waits()
	if err != nil {
		return err
	}
	for i := range r.c.frames {
		record := template
		fault := frame.FaultNone
		if (i+1)%r.c.faultEach == 0 {
			fault = r.c.fault
		}
		gone := p.frame(&record, fault)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := errors.Join(gone, r.keep(record)); err != nil {
			return err
		}
	}
	return errors.Join(r.waits(p, run, hostBefore, guestBefore), r.memory(p, run))
}

// machine returns the virtual machine that the guest runs in, with room for every cell; nil where the
// guest is a process beside us.
func (r *runner) machine(ctx context.Context) (*boundary.Machine, error) {
	if !boundary.Crosses(r.c.transport) {
		return nil, nil
	}
	o := boundary.Options{CPUs: len(r.halves.Guest), Doorbell: r.c.transport == boundary.TransportDoorbell,
		Say: r.bar.Note}
	if r.c.pinned {
		o.Pin = r.halves.Guest
	}
	if err := r.c.wait.Check(); err != nil {
		return nil, err
	}
	wait := libdx.WaitOf(r.c.wait)
	for _, c := range r.c.cells() {
		bytes, err := frame.RegionBytes(raw(c.direction), c.room(), &wait)
		if err != nil {
			return nil, err
		}
		o.Bytes = max(o.Bytes, bytes)
		// The guest has a copy of the frame, beside what it needs anyway.
		o.MemoryMiB = max(o.MemoryMiB, boundary.MemoryMiB+4*(c.size.bytes>>20))
	}
	return r.machines.Machine(ctx, o)
}

// template is a record that has everything but what the frame brings.
func (r *runner) template(p *pair, run int) frames.Record {
	pinning := "none"
	if r.c.pinned {
		pinning = r.halves.String()
	}
	s := p.cell.size
	accelerator := ""
	if p.machine != nil {
		accelerator = p.machine.Accelerator()
	}
	return frames.Record{Experiment: frames.Frames, Run: run, Accelerator: accelerator, Frame: s.name, Width: s.width, Height: s.height,
		SizeBytes: s.bytes, CacheLevel: holding(r.levels, s.bytes), Variant: p.cell.variant,
		RingBytes: p.cell.ring, ChunkBytes: p.cell.chunk, Direction: p.cell.direction, Phases: frames.NoPhases,
		Flush: p.flush, Transport: r.c.transport, Wait: r.c.waitName, Pinning: pinning,
		EnvCommit: r.commit}
}

// holding names the level that holds so many bytes; it is empty where no cache is known.
func holding(levels []membw.Level, bytes int) string {
	if len(levels) < 2 { // memory alone
		return ""
	}
	return membw.Holding(levels, bytes)
}

func (r *runner) keep(record frames.Record) error {
	record.Iteration = len(r.log.records) + 1
	r.log.records = append(r.log.records, record)
	r.bar.Add(1)
	return r.out.WriteLine(record)
}

// memory asks both sides what they have gained.
func (r *runner) memory(p *pair, run int) error {
	if err := p.host.Phase(frame.Memory, &p.report); err != nil {
		return err
	}
	now := memory{frame.AnonymousBytes(), p.report.GuestAnonymousBytes}
	sender, receiver := int64(p.cell.size.bytes), int64(0) // what memcpy fills; the copy
	if p.cell.variant != variantZeroCopy {
		receiver = int64(p.cell.size.bytes)
	}
	hostBuffers, guestBuffers := sender, receiver
	if p.cell.direction == result.GuestToHost {
		hostBuffers, guestBuffers = receiver, sender
	}
	m := memoryRecord{"frames_memory", run, p.cell.size.name, p.cell.size.bytes, p.cell.variant, p.cell.direction, p.cell.ring,
		p.host.RegionBytes(), int64(now.host-p.before.host) - hostBuffers,
		int64(now.guest-p.before.guest) - guestBuffers}
	r.log.memory = append(r.log.memory, m)
	return r.out.WriteLine(m)
}

// gone says that the channel has ended, and every further frame would fail as well.
func gone(err error) bool {
	failure, ok := errors.AsType[*dx.Error](err)
	if !ok {
		return false
	}
	switch failure.Status {
	case libdx.ErrPeerDead, libdx.ErrPeerClosed, libdx.ErrStopped:
		return true
	}
	return false
}
