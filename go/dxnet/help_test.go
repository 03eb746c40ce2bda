// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxnet

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// testContext is for waits that end: a test that hangs is ended by what runs it.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	t.Cleanup(cancel)
	return ctx
}

var names atomic.Int32

// urlOf returns a new URL of this kind: shm or unix.
func urlOf(t testing.TB, kind string) string {
	if kind == "unix" {
		return "unix:" + t.TempDir() + "/s"
	}
	name := fmt.Sprintf("dx-test-net-%d-%d", os.Getpid(), names.Add(1))
	t.Cleanup(func() { _ = os.Remove("/dev/shm/" + name) }) // what a host that was killed has left
	return "shm:" + name
}

// way is who is the host, and how the sides meet.
type way struct {
	kind        string
	dialerHosts bool
}

var ways = []way{{"shm", false}, {"unix", false}, {"shm", true}, {"unix", true}}

func (w way) String() string {
	if w.dialerHosts {
		return w.kind + ", who dials is the host"
	}
	return w.kind + ", who listens is the host"
}

// configs are those of who dials, and of who listens.
func (w way) configs(c Config) (dials, listens Config) {
	dials, listens = c, c
	if w.dialerHosts {
		dials.Side, listens.Side = SideHost, SideGuest
	}
	return dials, listens
}

func eachWay(t *testing.T, test func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) { test(t, w) })
	}
}

// scene is a listener, and how to dial it.
type scene struct {
	t        testing.TB
	url      string
	dials    Config
	listener *Listener
}

func listen(t testing.TB, w way, c Config) *scene {
	t.Helper()
	dials, listens := w.configs(c)
	s := &scene{t: t, url: urlOf(t, w.kind), dials: dials}
	var err error
	if s.listener, err = listens.Listen(s.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.listener.Close()
		<-s.listener.ended
		awaitNothingLeft()
	})
	return s
}

// connect returns both ends of a new connection, which are closed with the test.
func (s *scene) connect() (dialed, accepted *Conn) {
	s.t.Helper()
	got, failed := make(chan *Conn, 1), make(chan error, 1)
	go func() {
		c, err := s.listener.Accept()
		if err != nil {
			failed <- err
			return
		}
		got <- c.(*Conn)
	}()
	dialed, err := s.dials.Dial(testContext(s.t), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	select {
	case accepted = <-got:
	case err := <-failed:
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = dialed.Close()
		_ = accepted.Close()
	})
	return dialed, accepted
}

// awaitNothingLeft returns when no goroutine of this package or of package dx is left but
// those of tests, and no channel is shared.
func awaitNothingLeft() {
	all := make([]byte, 1<<22)
	for left := true; left; runtime.Gosched() {
		registry.Lock()
		left = len(registry.channels) != 0
		registry.Unlock()
		for _, stack := range strings.Split(string(all[:runtime.Stack(all, true)]), "\n\n") {
			if (strings.Contains(stack, "dx/go/dxnet.") || strings.Contains(stack, "dx/go/dx.")) &&
				!strings.Contains(stack, "testing.") && !strings.Contains(stack, "_test.go") {
				left = true
			}
		}
	}
}

func mustWrite(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("write %q: %d, %v", text, n, err)
	}
}

func mustRead(t testing.TB, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, 0, len(text))
	for len(got) < len(text) {
		n, err := c.Read(got[len(got):len(text)])
		if err != nil {
			t.Fatalf("read %q of %q: %v", got, text, err)
		}
		got = got[:len(got)+n]
	}
	if string(got) != text {
		t.Fatalf("read %q instead of %q", got, text)
	}
}
