// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"dx/libdx"
)

// acceptLook is how often Accept looks for new guests.
const acceptLook = 5 * time.Millisecond

// PeerState says what the other side of a channel is doing.
type PeerState uint32

// The values.
const (
	PeerNone   PeerState = libdx.PeerNone   // nobody has been there
	PeerAlive  PeerState = libdx.PeerAlive  // it lives
	PeerClosed PeerState = libdx.PeerClosed // it ended in good order
	PeerDead   PeerState = libdx.PeerDead   // it ended otherwise
)

// Peer says who the other side is. All but State, Place and Remote is what it says of itself.
type Peer struct {
	State   PeerState
	Place   int    // of the channel, from 0
	ID      int    // at the rendezvous, where a virtual machine keeps its own; -1: none
	Session uint64 // random, new for each life; 0: nobody has been there
	PID     int    // under its own kernel
	Kernel  uint64 // equal for all under one kernel
	Remote  bool   // that is another kernel than ours
}

// Peer returns who the other side is now.
func (ch *Channel) Peer() Peer {
	if ch.enter() != nil {
		return Peer{ID: -1}
	}
	defer func() { _ = ch.leave() }()
	info := ch.raw.PeerInfo()
	id := int(info.ID)
	if info.ID == libdx.NoID {
		id = -1
	}
	return Peer{State: PeerState(info.Peer), Place: int(info.Place), ID: id, Session: info.Session,
		PID: int(info.PID), Kernel: info.Kernel, Remote: info.Remote != 0}
}

// Listener is the host of several guests at once: one Channel for each of its places, each with one
// guest at a time. All methods may be called by any goroutine.
//
// The guests share one mapping: one that is not to be trusted can write into the places of the
// others. Such guests need a host each.
type Listener struct {
	channels []*Channel
	mu       sync.Mutex
	seen     []uint64 // the session that Accept has returned of each place
}

// Listen is Create for up to guests guests at once, from 1 to 30. config holds for each of them: it has
// slots of its own. A guest is told by Attach, with ErrGuestExists, if all places are taken.
func Listen(url string, guests int, config Config) (*Listener, error) {
	channels, err := createPlaces(url, guests, config)
	if err != nil {
		return nil, err
	}
	return &Listener{channels: channels, seen: make([]uint64, guests)}, nil
}

// Channels returns the channel of each place. It has the same use as one of Create: its calls wait
// for a guest, fail when that dies, and go on with the next one.
func (l *Listener) Channels() []*Channel { return slices.Clone(l.channels) }

// Accept waits until a guest is there that it has not returned yet, and returns the channel of its
// place and who it is. The channel is the place's: after a guest's end the next one comes by the same
// channel, with another session. It looks every 5 ms.
func (l *Listener) Accept(ctx context.Context) (*Channel, Peer, error) {
	look := time.NewTicker(acceptLook)
	defer look.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, Peer{}, err
		}
		ch, peer, err := l.newGuest()
		if ch != nil || err != nil {
			return ch, peer, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil, Peer{}, ctx.Err()
		}
	}
}

func (l *Listener) newGuest() (*Channel, Peer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, ch := range l.channels {
		if ch.stopped.Load() {
			return nil, Peer{}, ErrStopped
		}
		peer := ch.Peer()
		if peer.State == PeerAlive && peer.Session != l.seen[i] {
			l.seen[i] = peer.Session
			return ch, peer, nil
		}
	}
	return nil, Peer{}, nil
}

// Close closes the channels of all places, see Channel.Close. It may be called again.
func (l *Listener) Close() error {
	var errs []error
	for _, ch := range slices.Backward(l.channels) {
		errs = append(errs, ch.Close())
	}
	return errors.Join(errs...)
}
