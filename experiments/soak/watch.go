// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dx/experiments/internal/ledger"
	"dx/libdx"
)

// run makes faults until the goals are reached or the time is over, and ends everything in good
// order. errFailed means that the report says why; other errors are the machine's.
func (s *soak) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := s.forceHang(ctx, settled); err != nil {
		return err
	}
	next := time.Now().Add(s.untilNext())
	for !s.isOver() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.watch(); err != nil {
			return err
		}
		now := time.Now()
		if left := next.Sub(now); left > 0 {
			time.Sleep(min(left, watchEvery))
			continue
		}
		if err := s.inject(ctx); err != nil {
			return err
		}
		s.beginWatch()
		// What could not be made while the last one lasted is not made up for.
		if next = next.Add(s.untilNext()); next.Before(now) {
			next = time.Now()
		}
	}
	if err := s.watch(); err != nil {
		return err
	}
	return s.end(ctx)
}

// untilNext draws the time to the next fault: they come as by chance.
func (s *soak) untilNext() time.Duration {
	if s.faults == 0 || len(s.kinds) == 0 && !s.scribble {
		return time.Duration(1 << 60)
	}
	return time.Duration(s.random.ExpFloat64() / s.faults * float64(time.Second))
}

// reached is how much of the goals is reached, 0 to 1; without goals there is nothing to reach.
func (s *soak) reached(verified uint64) (part float64, ok bool) {
	part = 1
	if s.kills > 0 {
		part, ok = min(part, float64(s.report.Kills)/float64(s.kills)), true
	}
	if s.calls > 0 {
		part, ok = min(part, float64(verified)/float64(s.calls)), true
	}
	return part, ok
}

func (s *soak) isOver() bool {
	sum := s.ledger.Sum()
	part, goal := s.reached(sum.Verified)
	if goal && part >= 1 {
		return true
	}
	if s.ends.IsZero() || time.Now().Before(s.ends) {
		return false
	}
	if goal {
		s.fail("goal not reached within -duration %v: %d kills, %d verified calls", s.duration,
			s.report.Kills, sum.Verified)
	}
	return true
}

// showProgress moves the bar, in per cent of the goals, or of the time.
func (s *soak) showProgress(sum *ledger.Totals) {
	part, goal := s.reached(sum.Verified)
	if !goal {
		part = float64(time.Since(s.began)) / float64(s.duration)
	}
	if percent := int(100 * min(part, 1)); percent > s.shown && s.bar != nil {
		s.bar.Add(percent - s.shown)
		s.shown = percent
	}
	if s.bar != nil && time.Since(s.described) > time.Second {
		s.described = time.Now()
		s.bar.Describe(fmt.Sprintf("%.2g calls, %d kills, %d wrong", float64(sum.Verified),
			s.report.Kills, sum.Wrong()))
	}
}

// watch looks for what must not be between faults, and for callers who hang.
func (s *soak) watch() error {
	if err := s.lookForDeath(); err != nil {
		return err
	}
	sum := s.ledger.Sum()
	s.showProgress(&sum)
	if err := s.checkAnswers(&sum); err != nil {
		return err
	}
	for kind, n := range sum.Failed {
		if before := s.quiet.Failed[kind]; n > before && kind != timedOut {
			s.fail("%d calls failed without a fault: %s", n-before, kindName(kind))
			return errFailed
		}
	}
	for i := range s.progress {
		p := &s.progress[i]
		if done := s.ledger.Callers[i].Verified; done != p.done {
			*p = callerProgress{done, time.Now()}
		} else if time.Since(p.at) > s.hang {
			s.fail("hang: caller %d has had no answer for %v%s", i, s.hang, s.standings())
			s.explainHang()
			return errFailed
		}
	}
	return nil
}

// timedOut is the kind of failed call that needs no fault: the machine may be busy.
const timedOut = -int(libdx.ErrTimeout)

// checkAnswers ends the run at the first wrong answer, because then the state is still there.
func (s *soak) checkAnswers(sum *ledger.Totals) error {
	before := len(s.report.Failures)
	for i := range s.ledger.Callers {
		c := &s.ledger.Callers[i]
		if c.WrongStale+c.WrongOther+c.WrongBytes > 0 {
			s.fail("wrong answer: caller %d asked %d; the head of the answer says request %d of caller %d in life %d "+
				"(so far %d old answers, %d to other callers, %d damaged)", i, c.Asked, c.GotFirst, uint32(c.GotNext),
				c.GotNext>>32, c.WrongStale, c.WrongOther, c.WrongBytes)
		}
		if _, repeated := c.Handled(); repeated > 0 {
			s.fail("%d requests of caller %d were handled again", repeated, i)
		}
	}
	if sum.BadRequests > 0 {
		s.fail("%d requests that nobody had sent reached the handler", sum.BadRequests)
	}
	if len(s.report.Failures) > before {
		return errFailed
	}
	return nil
}

// checkBooks compares what callers and handlers have written down. Every answer that was right
// needs a request that was handled, and that one needs one that was sent.
func (s *soak) checkBooks() error {
	for i := range s.ledger.Callers {
		c := &s.ledger.Callers[i]
		if handled, _ := c.Handled(); c.Verified > handled || handled > c.Issued {
			s.fail("caller %d: %d sent, %d handled, %d right answers", i, c.Issued, handled, c.Verified)
		}
	}
	if len(s.report.Failures) > 0 {
		return errFailed
	}
	return nil
}

// lookForDeath finds processes that ended, or gave up, by themselves.
func (s *soak) lookForDeath() error {
	for _, p := range s.all {
		v := p.view()
		if v.failure != "" {
			s.fail("%v gave up: %s", p, v.failure)
			s.explainHang()
			return errFailed
		}
		if v.state == ended && !p.doomed {
			s.fail("%v ended by itself: %s", p, howItEnded(v.exit))
			return errFailed
		}
	}
	if info, err := s.errors.Stat(); err == nil && info.Size() > 0 {
		head := make([]byte, 200)
		n, _ := s.errors.ReadAt(head, 0)
		line, _, _ := strings.Cut(string(head[:n]), "\n")
		s.fail("a process complained (all of it is in stderr.txt): %s", line)
		return errFailed
	}
	return nil
}

func howItEnded(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
