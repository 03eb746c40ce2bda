// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// The time between two looks whether a handler has let go of a slot that somebody waits for.
const (
	owedPauseMin = time.Millisecond
	owedPauseMax = 8 * time.Millisecond
)

// slots hands out the slots of a channel, first come, first served. Only this process
// takes slots of its side, and only by this queue, so that nothing else has to be watched.
// Whoever waits is an entry of a list and holds no OS thread.
//
// A slot is unopened, idle, owed, or with whoever uses it. It is owed when the server may
// still be reading the request of a call that was given up.
type slots struct {
	ch    *Channel
	total int
	done  chan struct{} // closed by end

	mu       sync.Mutex
	ended    bool
	unopened int       // how many slots no Caller holds
	idle     []*Caller // of Channel.Call, ready for the next one
	owed     []*Caller // of Channel.Call
	waiting  list.List // of *slotWait
	takeOwed int       // how many of waiting take an owed slot
	watching bool      // watch runs
}

// slotWait is one goroutine that waits.
type slotWait struct {
	ready   bool // wants a slot that is not owed
	granted chan slotGrant
}

type slotGrant struct {
	c   *Caller
	err error
}

func (s *slots) init(ch *Channel) {
	s.ch = ch
	s.total = ch.raw.Slots()
	s.unopened = s.total
	s.done = make(chan struct{})
}

// take returns a Caller on a free slot and waits for one until ctx ends. With ready it
// waits also while the only free slots are owed.
func (s *slots) take(ctx context.Context, ready bool) (*Caller, error) {
	if ctx.Done() != nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return nil, ErrStopped
	}
	if s.waiting.Len() == 0 {
		if c, err := s.pick(ready); c != nil || err != nil {
			s.mu.Unlock()
			return c, err
		}
	}
	w := &slotWait{ready: ready, granted: make(chan slotGrant, 1)}
	place := s.waiting.PushBack(w)
	if !ready {
		s.takeOwed++
	}
	s.grant()
	s.mu.Unlock()
	select {
	case g := <-w.granted:
		return g.c, g.err
	case <-ctx.Done():
		return nil, s.giveUp(place, ctx.Err())
	}
}

// takeNow returns a Caller on a free slot, or ErrNoSlot.
func (s *slots) takeNow() (*Caller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, ErrStopped
	}
	if s.waiting.Len() == 0 {
		if c, err := s.pick(false); c != nil || err != nil {
			return c, err
		}
	}
	return nil, s.noSlot()
}

// giveUp ends a wait. What was granted meanwhile goes to the next one.
func (s *slots) giveUp(place *list.Element, ended error) error {
	s.mu.Lock()
	err := &endedError{ended, s.noSlot()}
	w := place.Value.(*slotWait)
	select {
	case g := <-w.granted:
		s.mu.Unlock()
		if g.c != nil {
			s.give(g.c)
		}
	default:
		s.remove(place)
		s.mu.Unlock()
	}
	return err
}

func (s *slots) noSlot() *Error {
	text := fmt.Sprintf("all %d slots are taken", s.total)
	if n := len(s.owed); n != 0 {
		text += fmt.Sprintf(", %d of them by handlers of calls that were given up", n)
	}
	return &Error{Status: libdx.ErrNoSlot,
		Detail: text + ": close a Caller or create the region with more slots"}
}

// remove is called with mu held.
func (s *slots) remove(place *list.Element) {
	s.waiting.Remove(place)
	if !place.Value.(*slotWait).ready {
		s.takeOwed--
	}
}

// give takes back the Caller of a call that has ended.
func (s *slots) give(c *Caller) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		c.closeUnused()
		return
	}
	if c.owes() {
		s.owed = append(s.owed, c)
	} else {
		s.idle = append(s.idle, c)
	}
	if s.waiting.Len() != 0 {
		s.grant()
	}
	s.mu.Unlock()
}

// closed takes note of a slot that a Caller has given back to libdx.
func (s *slots) closed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unopened++
	s.grant()
}

// pick returns a Caller on a free slot, nil if there is none; mu is held. Owed slots
// come last. When the other side is gone, nobody will let go of them: the call on
// such a slot says so.
func (s *slots) pick(ready bool) (*Caller, error) {
	if n := len(s.idle); n != 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return c, nil
	}
	for s.unopened > 0 || s.total == 0 {
		c, err := s.ch.openSlot()
		if err != nil {
			return nil, err
		}
		s.unopened--
		if !ready || !c.owes() {
			return c, nil
		}
		s.owed = append(s.owed, c)
	}
	i := slices.IndexFunc(s.owed, func(c *Caller) bool { return !c.owes() })
	if i < 0 && len(s.owed) != 0 && (!ready || s.ch.raw.Check() != libdx.OK) {
		i = 0
	}
	if i < 0 {
		return nil, nil
	}
	c := s.owed[i]
	s.owed = slices.Delete(s.owed, i, i+1)
	return c, nil
}

// grant gives what is free to those who wait, in their order; mu is held. Those who want
// a slot that is ready are passed over only by who takes an owed one.
func (s *slots) grant() {
	if s.ended {
		return
	}
	none := false // that is ready
	for place := s.waiting.Front(); place != nil && !(none && (s.takeOwed == 0 || len(s.owed) == 0)); {
		w, next := place.Value.(*slotWait), place.Next()
		if !w.ready || !none {
			c, err := s.pick(w.ready)
			if c != nil || err != nil {
				s.remove(place)
				w.granted <- slotGrant{c, err}
			} else {
				none = true
			}
		}
		place = next
	}
	if !s.watching && s.waiting.Len() != 0 && len(s.owed) != 0 {
		s.watching = true
		go s.watch()
	}
}

// watch looks for owed slots that the server has let go of, for as long as somebody waits.
func (s *slots) watch() {
	pause := owedPauseMin
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.done:
			return
		}
		s.mu.Lock()
		s.grant()
		if s.waiting.Len() == 0 || len(s.owed) == 0 {
			s.watching = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		pause = min(2*pause, owedPauseMax)
		timer.Reset(pause)
	}
}

// end refuses all who wait, and all who come, and closes the Callers that nobody uses.
func (s *slots) end() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	close(s.done)
	for place := s.waiting.Front(); place != nil; place = s.waiting.Front() {
		s.remove(place)
		place.Value.(*slotWait).granted <- slotGrant{nil, ErrStopped}
	}
	callers := slices.Concat(s.idle, s.owed)
	s.idle, s.owed = nil, nil
	s.mu.Unlock()
	for _, c := range callers {
		c.closeUnused()
	}
}

// owes says whether the server may still be reading the request of a call that was given up.
func (c *Caller) owes() bool {
	if c.ch.path == PathCgo {
		return c.raw.View().Abandoned && c.raw.Request() == nil
	}
	// A3 <- R3: whoever has let go of the request does not read it any more.
	return c.abandoned && atomic.LoadUint64(c.serverWord) != c.readyWord()
}
