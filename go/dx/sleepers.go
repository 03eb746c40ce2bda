// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"runtime"
	"sync"
	"sync/atomic"

	"dx/libdx"
)

// sleepers are the bells for which goroutines of this process wait. The runtime looks
// at its poller when a P has nothing to run, and else every 10 ms: while goroutines
// spin on all Ps, nobody hears that a bell was rung. So those that spin look here. A
// ring is seen in the memory before it is heard, and looking for it makes no system
// call.
var sleepers struct {
	count atomic.Int32 // of bells
	mu    sync.Mutex
	bells []*bell
}

const (
	// sleepersEvery is the number of slices of a spin, or of turns, between two looks
	// at the sleepers.
	sleepersEvery = 4
	// sleepersRounds is the same in rounds of a server that has something to do.
	sleepersRounds = 64
)

// lieDown says that the bell, whose cell is armed, is waited for.
func (b *bell) lieDown(armed uint32) {
	b.before, b.called = armed&^(libdx.RingsStep-1), false
	sleepers.mu.Lock()
	defer sleepers.mu.Unlock()
	b.place = len(sleepers.bells)
	sleepers.bells = append(sleepers.bells, b)
	sleepers.count.Store(int32(len(sleepers.bells)))
}

// getUp takes that back. After it nobody calls the bell any more.
func (b *bell) getUp() {
	sleepers.mu.Lock()
	defer sleepers.mu.Unlock()
	last := len(sleepers.bells) - 1
	sleepers.bells[b.place] = sleepers.bells[last]
	sleepers.bells[b.place].place = b.place
	sleepers.bells[last] = nil
	sleepers.bells = sleepers.bells[:last]
	sleepers.count.Store(int32(last))
}

// rang says whether the cell was rung since it was armed.
func (b *bell) rang() bool { return atomic.LoadUint32(b.rings) != b.before }

// wakeSleepers wakes those who were rung, and lets them run. It is for goroutines
// that spin, and costs one load if nobody sleeps.
func wakeSleepers() {
	if sleepers.count.Load() == 0 || !sleepers.mu.TryLock() {
		return
	}
	woken := false
	for _, b := range sleepers.bells {
		if !b.called && b.rang() {
			b.called, woken = true, true
			b.call()
		}
	}
	sleepers.mu.Unlock()
	if woken {
		runtime.Gosched()
	}
}
