// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"dx/libdx"
)

// bell is where a goroutine waits to be rung without holding an OS thread or a
// P: a thread of libdx turns the rings of a cell into an eventfd, for which the
// runtime's poller waits. A goroutine that blocked in C instead would keep its P
// until sysmon takes it away, up to 10 ms later.
type bell struct {
	ch   *Channel
	cell uint32
	raw  libdx.Bell
	file *os.File      // nil until the first wait, and for strategies that nobody rings
	word [8]byte       // what is read of it
	rung chan struct{} // in place of all that where there is a doorbell

	// Of a bell among the sleepers, guarded by their mutex.
	rings  *uint32 // of its cell
	before uint32  // the rings at arming
	called bool    // by one that spins
	place  int     // among the sleepers

	owed uint64 // rings that the descriptor has, or will have, for which we were called
}

// ensure opens the bell if it is not open yet.
func (b *bell) ensure() error {
	if b.rings == nil {
		b.rings = b.ch.raw.Rings(b.cell)
	}
	if b.ch.doorbell != nil {
		if b.rung == nil {
			b.rung = make(chan struct{}, 1)
			b.ch.doorbell.add(b)
		}
		return nil
	}
	if park := b.ch.raw.Park(); b.file != nil || park == libdx.ParkPoll || park == libdx.ParkNever {
		return nil
	}
	raw, fd, err := b.ch.raw.OpenBell(b.cell)
	if err != nil {
		return ours(err)
	}
	b.raw, b.file = raw, os.NewFile(uintptr(fd), "dx-bell")
	return nil
}

// wait returns true when the cell, armed as it is, was rung, false after at most
// limit.
func (b *bell) wait(armed uint32, limit time.Duration) bool {
	park := libdx.ArmedPark(armed)
	polls := park == libdx.ParkPoll || park == libdx.ParkNever
	if polls || (b.rung == nil && b.file == nil) { // the latter: our peer came just now
		pollSleep(min(limit, time.Duration(b.ch.wait.PollNs)))
		return false
	}
	if b.file != nil {
		_ = b.file.SetReadDeadline(time.Now().Add(limit)) // before call can set another
	}
	b.lieDown(armed)
	defer b.getUp()
	if measures(b.ch.histogramSwitch()) {
		return b.measuredWait(limit)
	}
	return b.waitToBeRung(limit)
}

func (b *bell) waitToBeRung(limit time.Duration) bool {
	if b.rung != nil {
		return b.waitForDoorbell(limit)
	}
	return b.waitForFile(limit)
}

// measuredWait is the same while wake-ups are measured.
func (b *bell) measuredWait(limit time.Duration) bool {
	began := time.Now()
	rung := b.waitToBeRung(limit)
	if rung {
		b.ch.raw.Woken(b.cell, int64(time.Since(began)))
	}
	return rung
}

func (b *bell) waitForDoorbell(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-b.rung:
		return true
	case <-timer.C:
	}
	select { // both, if we did not run for a while
	case <-b.rung:
		return true
	default:
		return false
	}
}

func (b *bell) waitForFile(limit time.Duration) bool {
	for {
		if _, err := b.file.Read(b.word[:]); err != nil {
			rang := b.rang()
			if !rang && !errors.Is(err, os.ErrDeadlineExceeded) {
				// Closed by the program around us, or not to be polled: whoever waits comes
				// again at once.
				pollSleep(min(limit, time.Duration(b.ch.wait.PollNs)))
			}
			if rang {
				b.owed++
			}
			return rang
		}
		heard := binary.NativeEndian.Uint64(b.word[:])
		if heard > b.owed {
			b.owed = 0
			return true
		}
		b.owed -= heard // these were rings for which we were called before
		if b.rang() {
			b.owed++
			return true
		}
	}
}

// foundNews is said by who was rung and found news, so that a peer that only rings is
// told from one that does not.
func (b *bell) foundNews() {
	if d := b.ch.doorbell; d != nil {
		d.found.Add(1)
	}
}

// call wakes who waits for the bell, in place of a ring that the poller has not heard
// yet; the sleepers' mutex is held.
func (b *bell) call() {
	if b.rung == nil {
		_ = b.file.SetReadDeadline(time.Unix(1, 0))
		return
	}
	select {
	case b.rung <- struct{}{}:
	default: // rung already
	}
}

// pollSleep is time.Sleep for the timed poll: the runtime rounds what is shorter
// than a millisecond up to one when nothing else runs. One goroutine of a channel
// sleeps like this for all others, and keeps its P for no longer than that.
func pollSleep(d time.Duration) {
	if d >= time.Millisecond {
		time.Sleep(d)
		return
	}
	napThread(d) // a signal ends it early, which is as good
}

// close must not run together with wait.
func (b *bell) close() {
	if b.rung != nil {
		b.ch.doorbell.remove(b)
		b.rung = nil
	}
	if b.file != nil {
		_ = b.file.Close()
		b.raw.Close()
		b.file = nil
	}
}
