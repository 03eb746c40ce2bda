// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// lending is how the workers of a pool take work off each other. Everything that a
// worker keeps of its slots is for whoever has its turn. The worker has it itself but
// for the time of its handlers: then another one may take it for a moment, claim a
// request, and give it back before it runs the handler. So each request has one
// worker, and a worker that never lends pays nothing.
type lending struct {
	turn    atomic.Uint64 // handlers that were entered << 1 | 1 while somebody has it
	entered uint64        // the same count, the worker's own
	asked   atomic.Bool   // to look at what the others have
	busy    []uint64      // per slot: the word of the request whose handler runs, or 0

	mu   sync.Mutex
	back []claim // answered by others; the slots are ours again
	// Requests whose handlers ran on goroutines of their own, likewise.
	handled []concurrent
}

// claim is a request that a worker handles.
type claim struct {
	slot, kind, n uint32
	word          uint64
}

const turnTaken = 1

func (l *lending) tryTurn() bool {
	t := l.turn.Load()
	return t&turnTaken == 0 && l.turn.CompareAndSwap(t, t|turnTaken)
}

// freeTurn is for whoever has the turn.
func (l *lending) freeTurn() { l.turn.Store(l.turn.Load() &^ turnTaken) }

// lend is called before a handler is entered for a slot, of ours or of others.
func (s *server) lend(slot uint32, w uint64) {
	if s.owns(slot) {
		s.occupy(slot, w)
	}
	l := &s.lending
	l.entered++
	l.turn.Store(l.entered << 1)
	if !s.pool.watch.on.Load() {
		s.pool.beginWatch()
	}
}

// regain is called when the handler has returned.
func (s *server) regain(slot uint32, w uint64) {
	for !s.lending.tryTurn() {
		runtime.Gosched()
	}
	if s.owns(slot) {
		s.vacate(slot, w)
	}
}

func (s *server) owns(slot uint32) bool { return (slot-s.base)%s.step == s.first-s.base }

// occupy keeps everybody from acting on what the slot's caller says.
func (s *server) occupy(slot uint32, w uint64) {
	s.seen[slot-s.base] = w
	s.lending.busy[slot-s.base] = w
	s.occupied++
}

// vacate takes the slot back: what the caller has said since then is news.
func (s *server) vacate(slot uint32, w uint64) {
	s.lending.busy[slot-s.base] = 0
	s.occupied--
	s.seen[slot-s.base] = w
}

// giveBack says that a request that we claimed of v was answered.
func (v *server) giveBack(c claim) {
	l := &v.lending
	l.mu.Lock()
	l.back = append(l.back, c)
	l.mu.Unlock()
	// S1 <-> S2: what the caller's word has said meanwhile is taken up by a round.
	v.anyReturned.Store(true)
	v.ch.raw.Ring(v.cell)
}

// settleClaims takes back the slots of requests that others have answered.
func (s *server) settleClaims() {
	l := &s.lending
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.back {
		s.vacate(c.slot, c.word)
	}
	l.back = l.back[:0]
}

// steal handles a request of a worker that is in a handler; true if there was one.
func (s *server) steal() bool {
	servers := s.pool.servers
	for i := range servers[1:] {
		v := servers[(int(s.first-s.base)+1+i)%len(servers)]
		if !v.lending.tryTurn() {
			continue
		}
		c, ok := v.pick(s.serving)
		v.lending.freeTurn()
		if ok {
			s.serve(c.slot, c.word, c.kind, c.n)
			s.ringAnswered()
			v.giveBack(c)
			return true
		}
	}
	return false
}

// pick claims a request, for one who has the turn and whose journal it is. What needs
// no handler it acts on itself.
func (s *server) pick(journal *uint64) (c claim, ok bool) {
	defer func(ours *uint64) { s.serving = ours }(s.serving)
	s.serving = journal
	if s.anyReturned.Load() {
		s.settle()
	}
	used := s.used()
	for i := s.changed(0, used); i < used && !ok; i = s.changed(i+1, used) {
		slot := s.first + i*s.step
		// A2 <- R2: as Scan saw it, or newer; a peer may also have taken it back.
		w := atomic.LoadUint64((*uint64)(s.callerField(slot, libdx.CallerWord)))
		if w == s.seen[slot-s.base] {
			continue
		}
		if stateOf(w) != libdx.CallerSending || s.occupied != 0 && s.isOccupied(slot, w) {
			s.takeUp(slot, w)
		} else {
			c = claim{slot: slot, kind: s.kindOf(slot), n: s.bytesOf(slot), word: w}
			if ok = isUsers(c.kind) && c.n <= s.requestCapacity; ok {
				s.occupy(slot, w)
			} else {
				s.seen[slot-s.base] = w
				s.serve(slot, w, c.kind, c.n)
			}
		}
		if len(s.answered) == libdx.Batch {
			s.ringAnswered()
		}
	}
	if len(s.answered) != 0 {
		s.ringAnswered()
	}
	return c, ok
}

// watchEvery is how often somebody looks whether requests wait for a worker that is
// in a handler while others sleep. Idle workers that spin see it at once.
const watchEvery = time.Millisecond

// watch is that look. It goes on for as long as handlers are entered.
type watch struct {
	on      atomic.Bool
	mu      sync.Mutex
	timer   *time.Timer
	ended   bool
	entered []uint64 // the workers' turns at the last look
}

func (p *pool) beginWatch() {
	w := &p.watch
	if !w.on.CompareAndSwap(false, true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
	case w.timer == nil:
		w.entered = make([]uint64, len(p.servers))
		w.timer = time.AfterFunc(watchEvery, p.look)
	default:
		w.timer.Reset(watchEvery)
	}
}

// endWatch returns when no look is under way any more.
func (p *pool) endWatch() {
	w := &p.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (p *pool) look() {
	w := &p.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	goesOn, asked := false, false
	for i, v := range p.servers {
		t := v.lending.turn.Load()
		goesOn = goesOn || t&turnTaken == 0 || t>>1 != w.entered[i]
		w.entered[i] = t >> 1
		if v.waits() {
			asked = p.ask() || asked
		}
	}
	if asked {
		wakeSleepers() // whom we rang, without the way through the kernel
	}
	if !goesOn {
		w.on.Store(false)
		// Behind it, because a handler that was entered just now saw it on.
		goesOn = p.inHandler() && w.on.CompareAndSwap(false, true)
	}
	if goesOn {
		w.timer.Reset(watchEvery)
	}
}

func (p *pool) inHandler() bool {
	for _, v := range p.servers {
		if v.lending.turn.Load()&turnTaken == 0 {
			return true
		}
	}
	return false
}

// waits says whether requests wait for this worker, which is in a handler.
func (s *server) waits() bool {
	if !s.lending.tryTurn() {
		return false
	}
	defer s.lending.freeTurn()
	used := s.used()
	return s.anyReturned.Load() || s.changed(0, used) != used
}

// ask has an idle worker look at what the others have; false if there is none.
func (p *pool) ask() bool {
	for _, u := range p.servers {
		if u.lending.turn.Load()&turnTaken != 0 && !u.lending.asked.Swap(true) {
			// S1 <-> S2: asked before the look at its cell.
			p.ch.raw.Ring(u.cell)
			return true
		}
	}
	return false
}

// answerAsked is steal, if somebody has asked for it.
func (s *server) answerAsked() bool {
	return s.lending.asked.Load() && s.lending.asked.Swap(false) && s.steal()
}
