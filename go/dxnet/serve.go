// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"syscall"

	"dx/go/dx"
)

// noCalls answers calls, which nobody makes here.
var noCalls = dx.HandlerFunc(func(*dx.Request, []byte) (int, int32) { return 0, int32(syscall.EPROTOTYPE) })

// serveHost serves all places of a host until ctx ends.
func (l *Listener) serveHost(ctx context.Context, host *dx.Listener) {
	channels := host.Channels()
	for place, ch := range channels {
		l.serving.Go(func() {
			for {
				err := l.serve(ctx, ch, place)
				if errors.Is(err, dx.ErrPeerClosed) || errors.Is(err, dx.ErrPeerDead) {
					err = ch.WaitPeer(ctx)
				}
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					l.fail(err)
					return
				}
			}
		})
	}
	go func() {
		l.serving.Wait()
		_ = host.Close()
		close(l.ended)
	}()
}

// serveGuest serves one host after the other until ctx ends.
func (l *Listener) serveGuest(ctx context.Context) {
	l.serving.Go(func() {
		for {
			ch, err := dx.Attach(ctx, l.addr.URL, l.config.Options)
			if err == nil {
				err = l.serve(ctx, ch, ch.Peer().Place)
				_ = ch.Close()
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil && !peerEnded(err) {
				l.fail(err)
				return
			}
		}
	})
	go func() {
		l.serving.Wait()
		close(l.ended)
	}()
}

// serve takes up connections until the other side is gone.
func (l *Listener) serve(ctx context.Context, ch *dx.Channel, place int) error {
	return ch.ServeWith(ctx, noCalls, dx.ServeOptions{Streams: dx.StreamHandlerFunc(
		func(s *dx.Stream) int32 { return l.takeUp(s, Addr{l.addr.URL, place, s.Slot()}) })})
}

// takeUp has a connection for as long as its slot is taken. The result is what refuses it.
func (l *Listener) takeUp(s *dx.Stream, addr Addr) int32 {
	if s.Type() != StreamType {
		return int32(syscall.EPROTOTYPE)
	}
	if !l.begin() {
		return int32(syscall.ECONNREFUSED)
	}
	defer func() { go l.end(s) }()
	c := newConn(s, addr)
	if _, err := s.Write([]byte{Hello}); err != nil {
		return 0
	}
	select {
	case l.incoming <- c:
	case <-l.closed:
		_ = s.Close() // which resets it
		return 0
	case <-s.Done():
		return 0
	}
	select {
	case <-c.closing:
		if c.linger.Load() == 0 {
			_ = s.Close()
		}
	case <-s.Done(): // the other side is gone, and who still reads is told so
		c.reading.Lock()
		c.atEnd = s.AtEnd()
		c.reading.Unlock()
	}
	return 0
}

// begin counts a connection; false if it is too late.
func (l *Listener) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.running++
	return true
}

// end ends serving after the last connection, if the listener is closed. What the handler
// has returned counts once its stream has ended: only then serving may.
func (l *Listener) end(s *dx.Stream) {
	<-s.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running--; l.running == 0 && l.closing {
		l.stop()
	}
}
