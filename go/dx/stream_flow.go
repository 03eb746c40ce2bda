// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync/atomic"

	"dx/go/internal/spin"
	"dx/libdx"
)

// flow is one direction of a stream, as one side sees it: a ring and two progress
// words. stream.h in Go. One goroutine at a time uses it.
type flow struct {
	stream   *Stream
	ctx      context.Context // bounds its waits
	sends    bool            // we write it
	ring     []byte
	offset   int    // of our position in the ring
	position uint64 // bytes that we have sent, or taken
	peer     uint64 // what the other side has taken, or sent; checked
	ended    bool   // the writer has said the end
	ours     *uint64
	theirs   *uint64
	using    atomic.Bool // a method runs
	waiter   waiter
	counted  libdx.Counters // of its waits; whoever owns the slot's counters adds them in the end
	over     *ending        // how the stream ended, as the latest look found it

	// What it sleeps for, frozen while it does.
	wanted  int        // bytes
	wordToo bool       // only for the slot's word: progress is of no interest
	all     bool       // until the other side has taken all
	wake    chan error // the parker's word: nil for news
	late    bool       // as of a Caller
}

// note takes note of the other side's progress word, which is input: false if it
// cannot be.
func (f *flow) note(word uint64) bool {
	count := word
	if f.sends {
		if count < f.peer || count > f.position {
			return false
		}
		f.peer = count
		return true
	}
	count &^= libdx.StreamEnd
	end := word&libdx.StreamEnd != 0
	if count < f.peer || count-f.position > uint64(len(f.ring)) ||
		f.ended && (!end || count != f.peer) {
		return false
	}
	f.peer, f.ended = count, end
	return true
}

// span is what is free, or there to read, and contiguous.
func (f *flow) span() []byte {
	n := int(f.peer - f.position)
	if f.sends {
		n = len(f.ring) - int(f.position-f.peer)
	}
	end := min(f.offset+n, len(f.ring))
	return f.ring[f.offset:end:end]
}

// enough is how many bytes a wait for f.wanted ends with: no more than there are up
// to the ring's end, so that writer and reader never wait for each other.
func (f *flow) enough() int { return min(f.wanted, len(f.ring)-f.offset) }

// advance publishes n bytes as sent, or as taken.
func (f *flow) advance(n int) {
	f.position += uint64(n)
	if f.offset += n; f.offset == len(f.ring) {
		f.offset = 0
	}
	f.publish(f.position)
}

func (f *flow) publish(word uint64) {
	// R12 -> A12, R13 -> A13 (stream.c): the bytes were written, or read, before.
	spin.StoreRelease(f.ours, word)
	// S1 <-> S2, S3 <-> S4: the progress before the look at the other side's sleeper.
	spin.Fence()
	if f.stream.ring() {
		f.counted.Rings++
	}
}

// has says whether a flow that sleeps is to wake up for this progress word. Only
// refresh judges it; one that cannot be wakes, too.
func (f *flow) has(word uint64) bool {
	if f.wordToo {
		return false
	}
	if f.sends {
		used := f.position - word
		if f.all {
			return used == 0 || used > uint64(len(f.ring))
		}
		return used > uint64(len(f.ring)) || len(f.ring)-int(used) >= f.enough()
	}
	return word&libdx.StreamEnd != 0 || word-f.position >= uint64(f.enough())
}

// ready says whether there is anything to wake up for.
func (f *flow) ready() bool {
	s := f.stream
	if s.over.Load() != nil {
		return true
	}
	// A3 <- R3, A2 <- R2: what the slot's word publishes.
	w := atomic.LoadUint64(s.theirWord)
	if s.server != nil {
		return w != s.goesOn || f.has(atomic.LoadUint64(f.theirs))
	}
	if w == s.answered {
		return true
	}
	// A12 <- R12, A13 <- R13.
	return (w == s.goesOn || s.accepted.Load()) && f.has(atomic.LoadUint64(f.theirs))
}

func (f *flow) satisfied() bool {
	switch {
	case f.wordToo:
		return false
	case f.all:
		return f.peer == f.position
	}
	return !f.sends && f.ended || len(f.span()) >= f.enough() && len(f.ring) != 0
}
