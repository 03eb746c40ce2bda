// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"sync"

	"dx/go/dx"
)

// A channel that this process dials on is shared by all its connections, because a region
// has few places for guests and none for a second host.

type channelKey struct {
	url  string
	host bool
}

// registry has the channels that a new Dial may use.
var registry = struct {
	sync.Mutex
	channels map[channelKey]*shared
}{channels: map[channelKey]*shared{}}

// shared is such a channel, from the first Dial to the end of the last connection.
type shared struct {
	key    channelKey
	users  int  // Dials under way, and connections; under the registry's lock
	closed bool // under the same

	turn    chan struct{} // full while somebody opens or closes the channel
	channel *dx.Channel   // nil: not open yet; whoever has the turn changes it
}

// acquire returns the channel of this key, to be released once.
func acquire(key channelKey) *shared {
	registry.Lock()
	defer registry.Unlock()
	s := registry.channels[key]
	if s == nil {
		s = &shared{key: key, turn: make(chan struct{}, 1)}
		registry.channels[key] = s
	}
	s.users++
	return s
}

// open opens the channel if nobody has. One Dial does so at a time, and the next one tries
// when the context of the first has ended.
func (s *shared) open(ctx context.Context, c Config) (*dx.Channel, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.channel != nil {
		return s.channel, nil
	}
	var err error
	var ch *dx.Channel
	if s.key.host {
		ch, err = dx.Create(s.key.url, c.channel(true))
	} else {
		ch, err = dx.Attach(ctx, s.key.url, c.Options)
	}
	if err != nil {
		return nil, err
	}
	s.channel = ch
	return ch, nil
}

// ended looks at why a Dial has failed. A guest's channel ends with its host: the next Dial
// attaches anew. A host waits for its next guest.
func (s *shared) ended(ctx context.Context, ch *dx.Channel, err error) {
	if s.key.host && (errors.Is(err, dx.ErrPeerDead) || errors.Is(err, dx.ErrPeerClosed) || errors.Is(err, dx.ErrLost)) {
		_ = ch.WaitPeer(ctx)
		return
	}
	if peerEnded(err) || errors.Is(err, dx.ErrStopped) {
		s.forget()
	}
}

// forget lets later Dials open a channel of their own.
func (s *shared) forget() {
	registry.Lock()
	defer registry.Unlock()
	if registry.channels[s.key] == s {
		delete(registry.channels, s.key)
	}
}

// release closes the channel if its last user has gone.
func (s *shared) release() {
	registry.Lock()
	s.users--
	idle := s.users == 0
	registry.Unlock()
	for idle {
		select {
		case s.turn <- struct{}{}:
		default:
			return // a new Dial has the turn, and releases it, too
		}
		s.closeIfIdle()
		<-s.turn
		registry.Lock()
		idle = s.users == 0 && !s.closed // who left meanwhile found our turn
		registry.Unlock()
	}
}

// closeIfIdle is called by who has the turn. A Dial that comes meanwhile waits for it, and
// then opens the channel anew.
func (s *shared) closeIfIdle() {
	registry.Lock()
	idle := s.users == 0
	registry.Unlock()
	if !idle {
		return
	}
	if s.channel != nil {
		_ = s.channel.Close()
		s.channel = nil
	}
	registry.Lock()
	defer registry.Unlock()
	if s.users != 0 {
		return
	}
	s.closed = true
	if registry.channels[s.key] == s {
		delete(registry.channels, s.key)
	}
}
