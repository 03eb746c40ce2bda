// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dx/go/dx"
)

func TestDialWaitsForASlot(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := listen(t, w, Config{Conns: 2, Guests: 1})
		first, accepted := s.connect()
		_, _ = s.connect()
		var err error
		for limit := 10 * time.Millisecond; !errors.Is(err, dx.ErrNoSlot); limit *= 2 { // until it has looked
			soon, cancel := context.WithTimeout(context.Background(), limit)
			_, err = s.dials.Dial(soon, s.url)
			cancel()
			if wants(t, "no slot", err, os.ErrDeadlineExceeded, true); limit > time.Minute {
				t.Fatalf("no slot: %v", err)
			}
		}
		third := make(chan *Conn, 1)
		go func() {
			c, err := s.dials.Dial(testContext(t), s.url)
			if err != nil {
				t.Error(err)
			}
			third <- c
		}()
		awaitIn("dxnet.Config.Dial")
		_ = first.Close()
		_ = accepted.Close()
		if _, err := s.listener.Accept(); err != nil {
			t.Error(err)
		}
		if c := <-third; c != nil { // one that was closed before would not be accepted
			_ = c.Close()
		}
	})
}

func TestConnectionsOfOneProcessShareAChannel(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := listen(t, w, Config{Conns: 20, Guests: 1})
		var seen sync.Map
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				c, err := s.dials.Dial(testContext(t), s.url)
				if err != nil {
					t.Error(err)
					return
				}
				if _, twice := seen.LoadOrStore(c.LocalAddr().String(), c); twice {
					t.Errorf("%v is there twice", c.LocalAddr())
				}
			})
		}
		for range 20 {
			c, err := s.listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if a := c.RemoteAddr(); a.Network() != "dx" || !strings.HasPrefix(a.String(), s.url+"#0.") {
				t.Errorf("address %v", a)
			}
		}
		all.Wait()
		if a := s.listener.Addr(); a.String() != s.url {
			t.Errorf("address of the listener: %v", a)
		}
		registry.Lock()
		if n := len(registry.channels); n != 1 {
			t.Errorf("%d channels", n)
		}
		registry.Unlock()
		seen.Range(func(_, c any) bool {
			_ = c.(*Conn).Close()
			return true
		})
	})
}

func TestAListenerThatIsClosedRefusesAndLetsConnectionsGoOn(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := listen(t, w, Config{Conns: 3})
		dialed, accepted := s.connect()
		waiting, err := s.dials.Dial(testContext(t), s.url) // nobody accepts it
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		accept := make(chan error, 1)
		refused := s.listener.Close()
		go func() {
			_, err := s.listener.Accept()
			accept <- err
		}()
		if refused != nil {
			t.Error(refused)
		}
		wants(t, "accept", <-accept, net.ErrClosed, false)
		wants(t, "close", s.listener.Close(), net.ErrClosed, false)
		_, err = waiting.Read(make([]byte, 1))
		wants(t, "read of what was not accepted", err, syscall.ECONNRESET, false)
		_, err = s.dials.Dial(testContext(t), s.url)
		wants(t, "dial", err, syscall.ECONNREFUSED, false)
		mustWrite(t, dialed, "still there")
		mustRead(t, accepted, "still there")
		if !w.dialerHosts {
			_, err = Listen(s.url)
			wants(t, "listen", err, syscall.EADDRINUSE, false)
		}
		mustWrite(t, accepted, "to the end")
		_ = accepted.Close()
		if got, err := io.ReadAll(dialed); string(got) != "to the end" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		<-s.listener.ended
	})
}

func TestAcceptEndsWithTheListener(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := listen(t, w, Config{})
		accept := make(chan error, 1)
		go func() {
			_, err := s.listener.Accept()
			accept <- err
		}()
		awaitIn("Listener).Accept")
		if err := s.listener.Close(); err != nil {
			t.Error(err)
		}
		wants(t, "accept", <-accept, net.ErrClosed, false)
	})
}

func TestAGuestThatListensTellsWhatIsWrongByAccept(t *testing.T) {
	l, err := Config{Side: SideGuest}.Listen("nonsense:")
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Accept()
	wants(t, "accept", err, dx.ErrURL, false)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// echo serves one connection.
func echo(c net.Conn) {
	_, _ = io.Copy(c, c)
	_ = c.Close()
}

// serveEchos serves until the listener is closed.
func serveEchos(t testing.TB, l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		go echo(c)
	}
}

func TestManyConnectionsCarryWhatWasWritten(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		s := listen(t, w, Config{Conns: 8, Buffer: 3000})
		var serving, all sync.WaitGroup
		serving.Go(func() { serveEchos(t, s.listener) })
		for i := range 16 { // twice as many as there are slots
			all.Go(func() {
				for n := range 3 {
					if err := exchange(s, uint64(i), uint64(n)); err != nil {
						t.Errorf("connection %d, %d: %v", i, n, err)
					}
				}
			})
		}
		all.Wait()
		_ = s.listener.Close()
		serving.Wait()
	})
}

// exchange sends random bytes and compares what comes back.
func exchange(s *scene, a, b uint64) error {
	c, err := s.dials.Dial(testContext(s.t), s.url)
	if err != nil {
		return err
	}
	defer c.Close()
	const total = 50_000
	wrote := make(chan error, 1)
	go func() {
		_, err := io.CopyN(c, random{rand.New(rand.NewPCG(a, b))}, total)
		wrote <- errors.Join(err, c.CloseWrite())
	}()
	want := random{rand.New(rand.NewPCG(a, b))}
	got, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	expected := make([]byte, total)
	_, _ = want.Read(expected)
	if string(got) != string(expected) {
		return fmt.Errorf("%d bytes came back, or others", len(got))
	}
	return <-wrote
}

type random struct{ r *rand.Rand }

func (r random) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.r.Uint32())
	}
	return len(p), nil
}
