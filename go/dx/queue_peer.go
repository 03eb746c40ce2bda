// SPDX-License-Identifier: Apache-2.0

package dx

import "dx/libdx"

// What the end of the other side does to the calls of a queue.

func (q *Queue) fail(f *flight, err error) {
	if f.state == flightSent {
		f.c.abandon()
	}
	f.state, f.err = flightFailed, err
}

// failAll ends all calls with err. Without a peer a call waits for one: when that has ended,
// what was not sent yet stays where it is. If all calls were answered, the next one is told of the end.
func (q *Queue) failAll(err error) {
	peerEnded, told := err == ErrPeerDead || err == ErrPeerClosed, false
	for _, f := range q.inFlight {
		switch {
		case f.ended():
		case f.state == flightSent || !peerEnded:
			q.fail(f, err)
			told = true
		default:
			told = true // it waits for the next peer
		}
	}
	if peerEnded {
		q.setTold(told)
	}
}

// setTold notes for all Callers whether they were told of the end of the peer.
func (q *Queue) setTold(told bool) {
	session := uint64(0)
	if told {
		session = q.ch.raw.PeerInfo().Session
	}
	for i := range q.flights {
		q.flights[i].c.toldSession = session
	}
}

// checkPeer returns the end of the peer until the queue is told of it.
func (q *Queue) checkPeer() error {
	status := q.ch.raw.Check()
	if !isEnd(status) {
		if status == libdx.OK {
			q.setTold(false)
		}
		return errorOf(status)
	}
	session := q.ch.raw.PeerInfo().Session
	for i := range q.flights {
		if q.flights[i].c.toldSession != session {
			return errorOf(status)
		}
	}
	return nil
}
