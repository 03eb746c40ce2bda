// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/boundary"
	"dx/experiments/internal/counters"
	"dx/experiments/internal/frame"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
	"dx/go/dx"
	"dx/libdx"
)

// pair is a host and its guest, with new memory for one cell. Its methods must be
// called from the goroutine that opened it, which is tied to its thread.
type pair struct {
	c        config
	cell     cell
	host     *frame.Host
	guest    peer.Process
	machine  *boundary.Machine // nil: the guest is a process beside us
	set      *counters.Set
	flush    string
	before   memory
	sequence uint64
	unwatch  func() bool

	// Filled by calls, here so that none allocates.
	report   frame.Report
	transfer frame.Transfer
}

// memory is the private memory of each side, frames included.
type memory struct{ host, guest uint64 }

// guestConfig is what a guest must know to meet its host. Sizes, counts and what is
// to be done come over the channel.
type guestConfig struct {
	URL  string
	CPUs []int `json:",omitempty"`
	Wait dx.Wait
}

// guestRole serves until the host closes.
var guestRole = peer.Of("guest", func(g guestConfig) error {
	if len(g.CPUs) > 0 {
		if err := affinity.Pin(g.CPUs); err != nil {
			return err
		}
	}
	if err := g.Wait.Check(); err != nil {
		return err
	}
	wait := libdx.WaitOf(g.Wait)
	return frame.Serve(g.URL, &wait, 1)
})

// openPair starts both sides. The sequence numbers of its frames begin above first.
func openPair(ctx context.Context, c config, of cell, halves affinity.Halves, first uint64,
	machine *boundary.Machine) (*pair, error) {
	err := c.wait.Check()
	if err != nil {
		return nil, err
	}
	wait := libdx.WaitOf(c.wait)
	p := &pair{c: c, cell: of, sequence: first, machine: machine}
	url := peer.URL(c.transport, c.out, "frames")
	if machine != nil {
		url = machine.URL()
	}
	if p.host, err = frame.Create(url, raw(of.direction), of.room(), &wait, c.timeout); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	p.set = counters.Open(counters.Thread)
	p.unwatch = context.AfterFunc(ctx, p.host.Stop)
	if err := p.startGuest(ctx, url, halves.Guest); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if err := p.host.Prepare(of.size.bytes, of.chunk, &p.report); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare: %w", err), p.close())
	}
	p.flush = p.report.Flush
	p.before = memory{frame.AnonymousBytes(), p.report.GuestAnonymousBytes}
	return p, nil
}

// startGuest starts the guest's side, beside us or in the machine.
func (p *pair) startGuest(ctx context.Context, url string, cpus []int) (err error) {
	g := guestConfig{URL: url, Wait: p.c.wait}
	if p.machine != nil { // QEMU as a whole is where it should be
		g.URL = p.machine.GuestURL()
		guest, err := p.machine.StartReady(ctx, []string{guestRole.Variable(g)}, os.Stderr)
		if err == nil {
			p.guest = guest
		}
		return err
	}
	if p.c.pinned {
		g.CPUs = cpus
	}
	var inherited int
	g.URL, inherited = peer.Reach(url, p.host.FD())
	p.guest, err = guestRole.Start(ctx, g, inherited)
	return err
}

// close ends the guest by closing its host.
func (p *pair) close() error {
	p.unwatch()
	p.host.Stop()
	err := p.host.Close()
	if p.guest != nil {
		err = errors.Join(err, p.guest.End())
	}
	p.set.Close()
	runtime.UnlockOSThread()
	return err
}

var errWrong = errors.New("the frame that arrived is not the one that was sent")

// frame sends one frame and measures it; the record says how it ended. The error is
// set only if there is no use in sending more.
func (p *pair) frame(r *frames.Record, fault frame.Fault) error {
	p.sequence++
	r.Sequence, r.Time = p.sequence, time.Now().UTC()
	r.Phases = frames.NoPhases
	r.OK = true
	err := p.steps(r, fault)
	if err == nil && p.c.isolated && p.cell.variant != variantOverlapped {
		err = p.isolated(r)
	}
	if err != nil {
		r.Fail(err)
	}
	if gone(err) {
		return err
	}
	return nil
}

// steps hands the frame over and verifies it.
func (p *pair) steps(r *frames.Record, fault frame.Fault) error {
	inPlace := p.cell.variant == variantZeroCopy
	took, err := p.host.Make(p.sequence, inPlace, fault)
	if err != nil {
		return err
	}
	r.GenerateNs = frames.Ns(took)
	// In turn right before and right after the transfer, so that each of the two has as often the
	// frame that the other one has just read.
	r.MemcpyFirst = p.sequence%2 == 0
	if r.MemcpyFirst {
		if err := p.memcpy(r); err != nil {
			return err
		}
	}
	// The first exchange makes sure that the guest is awake and looking.
	for range 2 {
		if err := p.host.Phase(frame.Notify, &p.report); err != nil {
			return err
		}
	}
	r.NotifyNs = frames.Ns(p.report.RoundtripNs)
	if err := p.hand(r); err != nil {
		return err
	}
	if !r.MemcpyFirst {
		if err := p.memcpy(r); err != nil {
			return err
		}
	}
	if err := p.host.Phase(frame.Notify, &p.report); err != nil {
		return err
	}
	r.AcknowledgeNs = frames.Ns(p.report.RoundtripNs)
	guestStreamNs := frames.Ns(p.report.StreamNs)
	if err := p.verify(r, inPlace); err != nil {
		return err
	}
	if p.cell.variant == variantOverlapped {
		*p.guestPart(r) = guestStreamNs
	}
	return nil
}

func (p *pair) memcpy(r *frames.Record) error {
	took, err := p.host.Memcpy()
	r.MemcpyNs = frames.Ns(took)
	return err
}

// guestPart is where the time of the guest's part of a stream belongs.
func (p *pair) guestPart(r *frames.Record) *frames.Ns {
	if p.cell.direction == result.GuestToHost {
		return &r.GuestWriteNs
	}
	return &r.CopyNs
}

// hand is the transfer itself.
func (p *pair) hand(r *frames.Record) error {
	t := &p.transfer
	switch p.cell.variant {
	case variantZeroCopy:
		if err := p.host.Read(t); err != nil {
			return err
		}
		r.ReadNs = frames.Ns(t.ReceiveNs)
	case variantCopy:
		if err := p.host.Copy(t); err != nil {
			return err
		}
		*p.written(r), r.CopyNs = frames.Ns(t.WriteNs), frames.Ns(t.ReceiveNs)
	case variantOverlapped:
		if err := p.host.Stream(p.cell.ring, p.cell.chunk, t); err != nil {
			return err
		}
		// The guest's part is known when it has been asked.
		if p.cell.direction == result.GuestToHost {
			r.CopyNs = frames.Ns(t.ReceiveNs)
		} else {
			r.HostWriteNs = frames.Ns(t.WriteNs)
		}
	}
	r.ExchangeNs, r.TotalNs = frames.Ns(t.ExchangeNs), frames.Ns(t.TotalNs)
	return nil
}

// written is where the time of writing into the region belongs.
func (p *pair) written(r *frames.Record) *frames.Ns {
	if p.cell.direction == result.GuestToHost {
		return &r.GuestWriteNs
	}
	return &r.HostWriteNs
}

func (p *pair) verify(r *frames.Record, inPlace bool) error {
	takenUpNs, err := p.host.Verify(inPlace, &p.report)
	if err != nil {
		return err
	}
	if !p.report.Right {
		return errWrong
	}
	r.VerifyNs, r.TakenUpNs = frames.Ns(p.report.Ns), frames.Ns(takenUpNs)
	return nil
}

// isolated has the receiver pass over the frame, for one purpose at a time, and
// counts events in passes of their own. What overwrites its copy comes last.
func (p *pair) isolated(r *frames.Record) error {
	for _, pass := range []struct {
		phase frame.Phase
		to    *frames.Ns
		copy  bool // of the variant copy alone
	}{
		{frame.ReadHot, &r.ReadHotNs, false},
		{frame.ReadCold, &r.ReadColdNs, false},
		{frame.StridedCold, &r.StridedNs, false},
		{frame.CopyCold, &r.CopyColdNs, true},
		{frame.WriteCold, &r.WriteColdNs, true},
	} {
		if pass.copy && p.cell.variant == variantZeroCopy {
			continue
		}
		if err := p.host.Phase(pass.phase, &p.report); err != nil {
			return err
		}
		*pass.to = frames.Ns(p.report.Ns)
		switch pass.phase {
		case frame.ReadCold:
			r.ReadBytes, r.ReadLoads = p.report.Bytes, p.report.Loads
		case frame.StridedCold:
			r.StridedBytes, r.StridedLoads = p.report.Bytes, p.report.Loads
		}
	}
	if p.cell.variant == variantZeroCopy {
		return nil
	}
	r.HostCounters, r.GuestCounters = new(counters.Values), new(counters.Values)
	return p.host.Count(p.set, r.HostCounters, r.GuestCounters)
}
