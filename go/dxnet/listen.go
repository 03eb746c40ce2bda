// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"net"
	"sync"

	"dx/go/dx"
)

// Listener accepts connections: a net.Listener. All methods may be called by any number of
// goroutines.
type Listener struct {
	addr     Addr
	config   Config
	incoming chan *Conn
	stop     context.CancelFunc // of serving
	serving  sync.WaitGroup
	ended    chan struct{} // closed when serving has ended, and all channels are closed

	closed chan struct{} // closed by Close
	failed chan struct{} // closed when serving has failed

	mu      sync.Mutex
	closing bool
	err     error // why serving has failed
	running int   // connections whose slot is taken
	held    int   // connections that the program was given and has not closed
}

var _ net.Listener = (*Listener)(nil)

// Listen listens at url. As the host it creates the channel, and fails if a living host is
// there (syscall.EADDRINUSE). As a guest it attaches in the background, to one host after
// the other, and Accept tells what is wrong.
func Listen(url string) (*Listener, error) { return Config{}.Listen(url) }

// Listen is [Listen] with choices.
func (c Config) Listen(url string) (*Listener, error) {
	if c.Options.Path != dx.PathNative {
		return nil, listenError(url, errors.New("connections need PathNative"))
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Listener{addr: addrOf(url), config: c, stop: stop, ended: make(chan struct{}),
		incoming: make(chan *Conn), closed: make(chan struct{}), failed: make(chan struct{})}
	if c.host(url, true) {
		host, err := dx.Listen(url, c.guests(url), c.channel(false))
		if err != nil {
			stop()
			return nil, listenError(url, err)
		}
		l.serveHost(ctx, host)
	} else {
		l.serveGuest(ctx)
	}
	return l, nil
}

// Addr returns the address of the listener, an Addr.
func (l *Listener) Addr() net.Addr { return l.addr }

// Accept waits for a connection, and returns it as a *Conn. One that the other side has closed
// meanwhile is left out, unless something was written on it.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.incoming:
		if l.hand(c) {
			return c, nil
		}
		_ = c.SetLinger(0)
		_ = c.Close()
	case <-l.closed:
	case <-l.failed:
		return nil, opError("accept", nil, l.addr, l.err)
	}
	return nil, opError("accept", nil, l.addr, net.ErrClosed)
}

// hand counts a connection as the program's; false if the listener is closed.
func (l *Listener) hand(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.held++
	c.onClose = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held--
	}
	return true
}

// Close stops listening. Connections that were accepted go on, and the channel is closed
// after the last of them: until then another listener of this URL gets syscall.EADDRINUSE.
// If there is none, the channel is closed when Close returns.
func (l *Listener) Close() error {
	l.mu.Lock()
	if l.closing {
		l.mu.Unlock()
		return opError("close", nil, l.addr, net.ErrClosed)
	}
	l.closing = true
	close(l.closed)
	if l.running == 0 {
		l.stop()
	}
	wait := l.held == 0
	l.mu.Unlock()
	if wait {
		<-l.ended
	}
	return nil
}

// fail notes why serving cannot go on.
func (l *Listener) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.closing {
		l.err = err
		close(l.failed)
	}
}
