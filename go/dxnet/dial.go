// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"io"
	"syscall"

	"dx/go/dx"
)

// Dial connects to the listener at url. It waits until there is one with a free place and a
// free slot, and has taken up the connection, or until ctx ends.
func Dial(ctx context.Context, url string) (*Conn, error) { return Config{}.Dial(ctx, url) }

// Dial is [Dial] with choices. Those of a channel that other connections of this process use
// already do not count.
func (c Config) Dial(ctx context.Context, url string) (*Conn, error) {
	for {
		conn, err := c.dialOnce(ctx, url)
		if err == nil {
			return conn, nil
		}
		// Nothing was sent yet: the next listener does as well.
		if !peerEnded(err) && !errors.Is(err, dx.ErrLost) && !errors.Is(err, dx.ErrStopped) || ctx.Err() != nil {
			return nil, dialError(url, err)
		}
	}
}

func (c Config) dialOnce(ctx context.Context, url string) (*Conn, error) {
	s := acquire(channelKey{url, c.host(url, false)})
	ch, err := s.open(ctx, c)
	if err != nil {
		s.release()
		return nil, err
	}
	conn, err := connect(ctx, ch, url)
	if err != nil {
		s.ended(ctx, ch, err)
		s.release()
		return nil, err
	}
	conn.dialed.shared = s
	return conn, nil
}

// dialed is what a connection that was dialed holds.
type dialed struct {
	caller *dx.Caller
	shared *shared
}

func (d *dialed) release() {
	_ = d.caller.Close()
	d.shared.release()
}

// connect takes a slot, and waits until the listening side has taken up the connection.
func connect(ctx context.Context, ch *dx.Channel, url string) (*Conn, error) {
	caller, err := ch.OpenCaller(ctx)
	if err != nil {
		return nil, err
	}
	stream, err := caller.OpenStream(ctx, StreamType, dx.StreamOptions{})
	if err == nil {
		err = hear(stream)
	}
	if err != nil {
		if stream != nil {
			_ = stream.Close()
		}
		_ = caller.Close()
		return nil, err
	}
	conn := newConn(stream, Addr{URL: url, Place: ch.Peer().Place, Slot: stream.Slot()})
	conn.dialed = &dialed{caller: caller}
	return conn, nil
}

// hear waits for what the listening side says first.
func hear(stream *dx.Stream) error {
	var hello [1]byte
	_, err := stream.Read(hello[:])
	switch {
	case err == nil && hello[0] == Hello:
		return nil
	case err == nil:
		return syscall.EPROTONOSUPPORT
	case err != io.EOF:
		return err
	}
	status, err := stream.End()
	switch {
	case err != nil:
		return err
	case status > 0:
		return syscall.Errno(status)
	}
	return syscall.ECONNREFUSED
}
