// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"dx/experiments/internal/ledger"
	"dx/experiments/internal/peer"
)

// fault is a line of events.jsonl. All times count from the moment just before the fault: the kill
// or SIGTERM was sent, SIGCONT was sent, or both sides had ended after a scribble. What did not
// happen is left out.
type fault struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"`
	Victim string    `json:"victim"`
	// PauseNs is how long it was stopped, or scribbled on.
	PauseNs int64 `json:"pause_ns,omitempty"`
	// DeadNs is when the supervisor saw the end of the victim.
	DeadNs int64 `json:"dead_ns,omitempty"`
	// NoticeNs is when the survivor's first call, or its serving, failed because nobody was there.
	// There is none if the new process was there before anybody looked.
	NoticeNs int64 `json:"notice_ns,omitempty"`
	// StartNs is when the new process was started and ready to attach; 0 if it stood by.
	StartNs int64 `json:"start_ns,omitempty"`
	// ReadyNs is when both sides held the region.
	ReadyNs int64 `json:"ready_ns,omitempty"`
	// RecoveryNs is when the first call was verified, AllCallersNs when one of each caller was.
	RecoveryNs   int64 `json:"recovery_ns"`
	AllCallersNs int64 `json:"all_callers_ns"`
	Recovered    bool  `json:"recovered"`

	sentNs      int64
	host, guest uint32 // lives that ended
}

const (
	stopLeast, stopMost         = time.Millisecond, 200 * time.Millisecond
	scribbleLeast, scribbleMost = 2 * time.Millisecond, 40 * time.Millisecond
)

// stretch is an era: faults that one side's processes live through.
type stretch struct {
	left   int
	victim string
}

func (s *soak) beginStretch() {
	s.stretch = stretch{left: s.era, victim: []string{"guest", "host"}[s.random.IntN(2)]}
}

// choose draws the next fault.
func (s *soak) choose() string {
	var kinds []string
	for _, k := range []struct {
		kind   string
		weight int
	}{{"kill", 3}, {"close", 1}, {"stop", 1}} {
		if s.has(k.kind) {
			for range k.weight {
				kinds = append(kinds, k.kind)
			}
		}
	}
	if len(kinds) == 0 {
		return "scribble"
	}
	if s.stretch.left--; s.stretch.left < 0 {
		s.beginStretch()
		kill := s.has("kill")
		switch {
		case s.scribble && (!kill || s.random.IntN(2) == 0):
			return "scribble"
		case kill:
			return "kill both"
		}
	}
	kind := kinds[s.random.IntN(len(kinds))]
	if kind == "stop" {
		return "stop " + []string{"host", "guest"}[s.random.IntN(2)]
	}
	return kind + " " + s.stretch.victim
}

// between draws a time.
func (s *soak) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.random.Int64N(int64(most-least)))
}

// inject makes one fault and waits until all is well again.
func (s *soak) inject(ctx context.Context) error {
	kind := s.choose()
	if kind == "kill both" || kind == "scribble" {
		if err := s.checkSlots(ctx); err != nil {
			return err
		}
	}
	host, guest := s.holder("host"), s.holder("guest")
	f := &fault{Time: time.Now().UTC(), Kind: kind}
	err := s.commit(ctx, f, host, guest)
	if err == nil {
		f.Recovered = true
		f.notice(s, host, guest)
	}
	s.report.count(f)
	s.events.write(f)
	if err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	for _, p := range []*process{host, guest} {
		// A guest that lost its host may have lost its place to another one.
		if p == s.holder(p.role) {
			if err := s.takeSample(ctx, p); err != nil {
				return err
			}
		}
	}
	s.forget()
	return nil
}

func (s *soak) commit(ctx context.Context, f *fault, host, guest *process) error {
	verb, whom, _ := strings.Cut(f.Kind, " ")
	var victims []*process
	if whom != "guest" {
		victims = append(victims, host)
	}
	if whom != "host" {
		victims = append(victims, guest)
	}
	for _, v := range victims {
		f.Victim = strings.TrimPrefix(f.Victim+", "+v.String(), ", ")
	}
	switch verb {
	case "stop":
		return s.stop(ctx, f, victims[0])
	case "scribble":
		if err := s.scribbleOn(ctx, f, host); err != nil {
			return err
		}
	}
	if err := s.endVictims(ctx, f, verb == "kill", victims); err != nil {
		return err
	}
	if verb == "scribble" {
		return s.renew(ctx, f)
	}
	if err := s.succeed(f, victims); err != nil {
		return err
	}
	return s.awaitRecovery(ctx, f)
}

// endVictims kills or closes them, and waits for their end.
func (s *soak) endVictims(ctx context.Context, f *fault, kill bool, victims []*process) error {
	f.sentNs = ledger.Now()
	for _, v := range victims {
		v.doomed = true
		if v.role == "host" {
			f.host = v.life
		} else {
			f.guest = v.life
		}
		if kill {
			v.signal(syscall.SIGKILL)
		} else {
			v.signal(syscall.SIGTERM)
		}
	}
	for _, v := range victims {
		if kill {
			<-v.done
		} else if err := s.awaitEnd(v); err != nil {
			return err
		}
		f.DeadNs = max(f.DeadNs, v.view().endedNs-f.sentNs)
	}
	return ctx.Err()
}

// succeed sees to it that somebody takes the victims' places.
func (s *soak) succeed(f *fault, victims []*process) error {
	for _, v := range victims {
		if !s.standby {
			if err := s.replace(v.role); err != nil {
				return err
			}
		}
		if v.role == "host" {
			s.goHost()
		}
	}
	return nil
}

// awaitRecovery waits until every caller has had an answer from a pair of processes without those
// that ended.
func (s *soak) awaitRecovery(ctx context.Context, f *fault) error {
	err := s.await(ctx, "recovery after "+f.Kind, func() bool {
		for i := range s.ledger.Callers {
			c := &s.ledger.Callers[i]
			lives := atomic.LoadUint64(&c.Lives)
			if uint32(lives>>32) == f.host || uint32(lives) == f.guest || atomic.LoadInt64(&c.LivesNs) < f.sentNs {
				return false
			}
		}
		// What they say of themselves may come a moment later.
		return s.holder("host") != nil && s.holder("guest") != nil
	})
	if err != nil {
		return err
	}
	f.recovered(s, func(c *ledger.Caller) *int64 { return &c.LivesNs })
	for _, role := range []string{"host", "guest"} {
		if p := s.holder(role); p != nil {
			v := p.view()
			f.ReadyNs = max(f.ReadyNs, v.activeNs-f.sentNs)
			if !s.standby {
				f.StartNs = max(f.StartNs, v.waitedNs-f.sentNs)
			}
		}
	}
	return nil
}

// recovered takes the times from the ledger: of the first caller and of the last one.
func (f *fault) recovered(s *soak, of func(*ledger.Caller) *int64) {
	for i := range s.ledger.Callers {
		ns := atomic.LoadInt64(of(&s.ledger.Callers[i])) - f.sentNs
		if i == 0 || ns < f.RecoveryNs {
			f.RecoveryNs = ns
		}
		f.AllCallersNs = max(f.AllCallersNs, ns)
	}
}

// notice looks for the survivor's first failure.
func (f *fault) notice(s *soak, host, guest *process) {
	first := int64(0)
	earlier := func(ns int64) {
		if ns >= f.sentNs && (first == 0 || ns < first) {
			first = ns
		}
	}
	switch {
	case f.DeadNs == 0: // nobody died
	case !host.doomed:
		for i := range s.ledger.Callers {
			earlier(atomic.LoadInt64(&s.ledger.Callers[i].NoticeNs))
		}
	case !guest.doomed:
		earlier(guest.view().noticeNs)
	}
	if first != 0 {
		f.NoticeNs = first - f.sentNs
	}
}

// setMark begins a new mark: calls that begin from now on say so.
func (s *soak) setMark() {
	s.mark++
	atomic.StoreUint32(&s.ledger.Mark, s.mark)
}

// allMarked says whether every caller has had an answer to a call that began behind the mark.
func (s *soak) allMarked() bool {
	for i := range s.ledger.Callers {
		if atomic.LoadUint64(&s.ledger.Callers[i].Mark) != uint64(s.mark) {
			return false
		}
	}
	return true
}

// stop stops a process for a while. Recovery counts from when it goes on.
func (s *soak) stop(ctx context.Context, f *fault, victim *process) error {
	if err := s.forceHang(ctx, stopped); err != nil {
		return err
	}
	victim.signal(syscall.SIGSTOP)
	if err := peer.AwaitStop(victim.cmd.Process.Pid); err != nil {
		return fmt.Errorf("stop %v: %w", victim, err)
	}
	began := time.Now()
	select {
	case <-time.After(s.between(stopLeast, stopMost)):
	case <-ctx.Done():
	}
	s.setMark()
	f.PauseNs = int64(time.Since(began))
	f.sentNs = ledger.Now()
	victim.signal(syscall.SIGCONT)
	if err := s.await(ctx, "recovery after "+f.Kind, s.allMarked); err != nil {
		return err
	}
	f.recovered(s, func(c *ledger.Caller) *int64 { return &c.MarkNs })
	return nil
}

// scribbleOn lets a process write garbage into the region. From now on answers may be forged.
func (s *soak) scribbleOn(ctx context.Context, f *fault, host *process) error {
	atomic.StoreUint32(&s.ledger.Scribbling, 1)
	f.PauseNs = int64(s.between(scribbleLeast, scribbleMost))
	r := roleConfig{Role: "scribbler", Callers: s.callers, CPUs: s.cpus.Guest, Duration: time.Duration(f.PauseNs),
		Seed: s.random.Uint64(), Region: fmt.Sprintf("/proc/%d/fd/%d", host.cmd.Process.Pid, host.view().fd)}
	p, err := start(r, s.ledger, s.errors)
	if err != nil {
		return err
	}
	s.all = append(s.all, p)
	p.doomed = true // it ends by itself
	if err := s.await(ctx, "the end of the scribbler", func() bool { return p.view().state == ended }); err != nil {
		return err
	}
	if exit := p.view().exit; exit != nil {
		return fmt.Errorf("scribbler: %w", exit)
	}
	return nil
}

// renew begins a new session after a scribble; once it is there answers count again.
func (s *soak) renew(ctx context.Context, f *fault) error {
	_ = os.Remove(s.path) // what was scribbled on is nobody's region any more
	f.sentNs = ledger.Now()
	if err := s.succeed(f, []*process{{role: "host"}, {role: "guest"}}); err != nil {
		return err
	}
	err := s.await(ctx, "a new session after a scribble", func() bool {
		host, guest := s.holder("host"), s.holder("guest")
		return host != nil && guest != nil && host.life != f.host && guest.view().activeNs > f.sentNs
	})
	if err != nil {
		return err
	}
	atomic.StoreUint32(&s.ledger.Scribbling, 0)
	return s.awaitRecovery(ctx, f)
}
