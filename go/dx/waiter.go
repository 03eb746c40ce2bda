// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"dx/go/internal/spin"
	"dx/libdx"
)

const (
	// clockEvery is the number of yields between two looks at the clock.
	clockEvery = 4
	// kernelEvery is the number of yields of which one goes to the kernel: the
	// other side may be waiting for our CPU, and Gosched knows only goroutines.
	kernelEvery = 16
	// timerGrace is how long after its deadline a context may take to say that it has ended.
	timerGrace = 20 * time.Millisecond
	// lookSlice bounds one uninterruptible spin, in looks.
	lookSlice = 1024
)

// source is who waits, and for what: struct dx_source of wait.h. Its methods allocate nothing.
type source interface {
	// turn looks up to looks times, and yields before or after it if the waiter says so. It returns
	// the number of the look that found news, or 0.
	turn(n, looks uint32, crowded bool) uint32
	// between is called after the nth turn that found nothing. It returns whether there was
	// something else to do, and an error if waiting makes no sense any more.
	between(n uint32) (done bool, err error)
	// park sleeps until there is news, and returns for how long it slept.
	park() (slept time.Duration, err error)
}

// waiter is one user's wait strategy at work: wait.c, for goroutines.
type waiter struct {
	wait       Wait
	limit      uint32 // looks before parking
	slice      uint32 // looks between yields
	firstLooks uint32
	spinMax    time.Duration // what SpinMax looks take
	relax      bool
	rests      bool   // in hardware, between looks
	cpus       int32  // AdaptLoad: more goroutines than these that spin are too many; else 0
	crowd      *crowd // of a channel's callers; else nil
	checked    time.Time
	counters   *libdx.Counters
	wasted     uint32        // waits that spun as long as they may and found nothing, since one was won
	won        uint64        // waits that ended without a sleep, when that was last asked
	owed       time.Duration // sleep that is owed for them before spinning is tried again
}

func (w *waiter) init(wait *Wait, spinMax uint32, spinMaxNs int64, counters *libdx.Counters) {
	w.wait = *wait
	w.wait.SpinMax = spinMax
	w.wait.SpinMin = min(wait.SpinMin, spinMax)
	w.limit = min(wait.SpinStart, spinMax)
	w.spinMax = time.Duration(spinMaxNs)
	w.slice = lookSlice
	if wait.YieldEvery != 0 {
		w.slice = min(wait.YieldEvery, lookSlice)
	}
	w.firstLooks = min(w.slice, w.limit)
	w.relax = wait.Relax != RelaxNone
	w.rests = wait.Relax == RelaxHardware
	if wait.Adapt == AdaptLoad {
		w.cpus = int32(min(runtime.GOMAXPROCS(0), libdx.CPUs()))
	}
	w.counters = counters
	counters.SpinLimit = uint64(w.limit)
}

// spinning counts the goroutines of this process that spin by AdaptLoad, those
// that gave the CPU away for a moment included.
var spinning atomic.Int32

func (w *waiter) beginSpin() {
	if w.cpus != 0 {
		spinning.Add(1)
	}
}

func (w *waiter) endSpin() {
	if w.cpus != 0 {
		spinning.Add(-1)
	}
}

// crowded says that more goroutines spin than there are CPUs for them: then each
// look is followed by a yield.
func (w *waiter) crowded() bool { return w.cpus != 0 && spinning.Load() > w.cpus }

// yields says whether the CPU is given away between two turns.
func (w *waiter) yields(crowded bool) bool { return w.wait.YieldEvery != 0 || crowded }

// await goes on with a wait after looks looks that found nothing: it spins and yields up to the limit,
// then it parks.
func (w *waiter) await(s source, looks uint32) error {
	if done, err := w.spinOn(s, looks); done || err != nil {
		return err
	}
	slept, err := s.park()
	if err == nil {
		w.counters.Park++
	}
	w.adapt(slept)
	return err
}

// spinOn looks until there is news, or until it is time to park.
func (w *waiter) spinOn(s source, looks uint32) (done bool, err error) {
	w.beginSpin()
	defer w.endSpin()
	w.checked = time.Time{}
	yields := w.counters.Yields
	for n := uint32(1); w.wait.Park == ParkNever || looks < w.limit; n++ {
		crowded := w.crowded()
		slice := w.turnLooks(looks, crowded)
		// First the news, then the books.
		if seen := s.turn(n, slice, crowded); seen != 0 {
			w.counters.Looks += uint64(looks + seen)
			if w.counters.Yields != yields {
				w.counters.Yield++
			} else {
				w.counters.Spin++
			}
			w.adapt(0)
			return true, nil
		}
		looks += slice
		if n%sleepersEvery == 0 {
			wakeSleepers()
		}
		if done, err := s.between(n); err != nil {
			return false, err
		} else if done {
			w.counters.Looks += uint64(looks)
			return true, nil
		}
	}
	w.counters.Looks += uint64(looks)
	return false, nil
}

// turnLooks is how many looks a turn has, after so many.
func (w *waiter) turnLooks(looks uint32, crowded bool) uint32 {
	slice := w.slice
	if w.crowd != nil && w.crowd.yields() {
		slice = min(slice, crowdSlice)
	}
	if crowded {
		slice = 1
	}
	if w.wait.Park != ParkNever {
		slice = min(slice, w.limit-looks)
	}
	return slice
}

// due says whether it is time to look at the peer: every so often in a wait.
func (w *waiter) due(every time.Duration) bool {
	now := time.Now()
	if w.checked.IsZero() {
		w.checked = now
	}
	if now.Sub(w.checked) < every {
		return false
	}
	w.checked = now
	return true
}

// overdue says whether the deadline of a context has passed. The context's own word comes when its
// timer has run, for which who spins may leave no CPU.
func overdue(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	late := time.Since(deadline)
	if late < 0 {
		return nil
	}
	if err := ctx.Err(); err != nil || late <= timerGrace {
		return err
	}
	return context.DeadlineExceeded
}

// spin looks at most looks times for want; 0 if it did not come.
func (w *waiter) spin(word *uint64, want uint64, looks uint32) uint32 {
	if w.rests {
		return spin.UntilRest(word, want, looks)
	}
	if w.relax {
		return spin.Until(word, want, looks)
	}
	return spin.UntilHot(word, want, looks)
}

// yield gives the CPU to another goroutine, and now and then to another process;
// in a crowd each time.
func (w *waiter) yield(n uint32, crowded bool) {
	w.counters.Yields++
	if crowded || n%kernelEvery == 0 {
		yieldThread()
	}
	runtime.Gosched()
}

// learn takes over what the waiter of a stream, which began as this one was, has learned.
func (w *waiter) learn(from *waiter) {
	w.limit, w.firstLooks, w.wasted, w.owed = from.limit, from.firstLooks, from.wasted, from.owed
	w.counters.SpinLimit = uint64(w.limit)
}

// adapt moves the limit after a wait that slept so long: wait_adapt.c says why.
func (w *waiter) adapt(slept time.Duration) {
	if w.wait.Adapt == AdaptOff {
		return
	}
	if slept == 0 {
		w.raiseLimit()
	} else {
		w.adaptToSleep(slept)
	}
	w.firstLooks = min(w.slice, w.limit)
	w.counters.SpinLimit = uint64(w.limit)
}

func (w *waiter) raiseLimit() {
	if w.limit < w.wait.SpinMax {
		w.limit += min(w.wait.SpinMax-w.limit, w.wait.SpinInc)
	}
}

func (w *waiter) adaptToSleep(slept time.Duration) {
	brief := slept <= 2*w.spinMax
	// Did a wait end without a sleep since this was last asked?
	if won := w.counters.Spin + w.counters.Yield; won != w.won {
		w.won, w.wasted, w.owed = won, 0, 0
	}
	switch {
	case w.owed > 0:
		if w.owed -= slept; w.owed <= 0 && brief {
			w.limit = w.wait.SpinMax
		} else if w.owed <= 0 {
			w.limit = w.wait.SpinMin
		}
	case !brief:
		w.limit -= min(w.limit-min(w.limit, w.wait.SpinMin), w.wait.SpinDec)
	case w.limit < w.wait.SpinMax:
		w.raiseLimit()
	default:
		// As long as a spin may be, and nothing came: where both sides share one CPU, the
		// answer comes when we sleep and not before.
		if w.wasted++; w.wasted >= libdx.WastedWaits {
			w.limit, w.owed = 0, libdx.OwedSleep*w.spinMax
		}
	}
}
