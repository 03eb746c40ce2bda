// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"sync/atomic"
	"testing"
	"time"
)

// The call was not sent when the end was noticed, and goes out to nobody.
func TestACallOfAQueueIsGreetedByAServerThatHasEnded(t *testing.T) {
	q := &queued{t: t, b: newBlocker(t), host: newHost(t, Config{Slots: 1, RequestBytes: 8, ResponseBytes: 8})}
	guest := attach(t, q.host, Options{})
	q.openQueue(1)
	q.submit(1, TypeUser, -1)
	if err := guest.Close(); err != nil {
		t.Fatal(err)
	}
	c := q.flights[0].c
	for c.toldSession == 0 {
		if n, err := q.Poll(q.done[:]); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}
	atomic.StoreUint64(c.serverWord, c.readyWord())
	q.expect(1, 1, ErrPeerClosed)
}

// The end was noticed when no call was in flight that could have been told.
func TestTheEndOfAPeerThatNoCallWasToldOfFailsTheNext(t *testing.T) {
	q := &queued{t: t, b: newBlocker(t), host: newHost(t, Config{Slots: 2, RequestBytes: 8, ResponseBytes: 8})}
	guest := attach(t, q.host, Options{})
	q.openQueue(2)
	q.submit(1, TypeUser, -1)
	f := q.inFlight[0]
	for f.state != flightReturned { // greeted, and answered
		atomic.StoreUint64(f.c.serverWord, f.awaited)
		if _, err := q.Poll(q.done[:]); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Seen(&q.done[0]); err != nil {
		t.Fatal(err)
	}
	if err := guest.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		q.checked = time.Time{}
		if err := q.lookAround(time.Now()); err != ErrPeerClosed {
			t.Fatal(err)
		}
	}
	q.submit(2, TypeUser, -1)
	if q.inFlight[0] != f {
		t.Fatal("another slot, which no server has greeted")
	}
	q.expect(1, 2, ErrPeerClosed)
}
