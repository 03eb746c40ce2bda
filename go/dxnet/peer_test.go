// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxnet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"dx/go/dx"
)

const (
	roleVariable = "DX_TEST_NET_ROLE" // "listen" or "dial"; the URL is the next one
	urlVariable  = "DX_TEST_NET_URL"
	sideVariable = "DX_TEST_NET_SIDE"
)

// TestMain plays the other side if this process was started as that.
func TestMain(m *testing.M) {
	var c Config
	_, _ = fmt.Sscan(os.Getenv(sideVariable), &c.Side)
	switch url := os.Getenv(urlVariable); os.Getenv(roleVariable) {
	case "listen":
		os.Exit(listenElsewhere(c, url))
	case "dial":
		os.Exit(dialElsewhere(c, url))
	}
	os.Exit(m.Run())
}

// listenElsewhere says when it listens, and echoes until its input ends.
func listenElsewhere(c Config, url string) int {
	l, err := c.Listen(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echo(c)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = l.Close()
	return 0
}

// dialElsewhere says "hello" on its connection, and closes it when its input ends.
func dialElsewhere(c Config, url string) int {
	conn, err := c.Dial(context.Background(), url)
	if err == nil {
		_, err = conn.Write([]byte("hello"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := errors.Join(conn.SetLinger(3600), conn.Close()); err != nil {
		return 2
	}
	return 0
}

type other struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(t *testing.T, role, url string, side Side) *other {
	t.Helper()
	o := &other{t: t, cmd: exec.Command(os.Args[0])}
	o.cmd.Env = append(os.Environ(), roleVariable+"="+role, urlVariable+"="+url,
		fmt.Sprintf("%s=%d", sideVariable, side))
	o.cmd.Stderr = os.Stderr
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.out = bufio.NewReader(out)
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.kill)
	return o
}

func (o *other) ready() {
	o.t.Helper()
	if line, err := o.out.ReadString('\n'); line != "ready\n" {
		o.t.Fatalf("%q, %v", line, err)
	}
}

func (o *other) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

// end lets it end by itself.
func (o *other) end() {
	o.t.Helper()
	_ = o.in.Close()
	if err := o.cmd.Wait(); err != nil {
		o.t.Error(err)
	}
}

// sides are those of who dials and of who listens.
func (w way) sides() (dials, listens Side) {
	d, l := w.configs(Config{})
	return d.Side, l.Side
}

func TestAListenersDeathEndsItsConnectionsAndTheNextOneIsFound(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		url := urlOf(t, w.kind)
		dials, listens := w.sides()
		for range 3 {
			o := start(t, "listen", url, listens)
			c, err := Config{Side: dials}.Dial(testContext(t), url)
			if err != nil {
				t.Fatal(err)
			}
			mustWrite(t, c, "alive")
			mustRead(t, c, "alive")
			o.kill()
			_, err = c.Read(make([]byte, 1))
			wants(t, "read", err, syscall.ECONNRESET, false)
			if !errors.Is(err, dx.ErrPeerDead) {
				t.Error(err)
			}
			_, err = c.Write(make([]byte, 1))
			wants(t, "write", err, syscall.ECONNRESET, false)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		awaitNothingLeft()
	})
}

func TestOneChannelOutlivesTheListenersThatItsHostMeets(t *testing.T) {
	for _, kind := range []string{"shm", "unix"} {
		url := urlOf(t, kind)
		first := start(t, "listen", url, SideGuest)
		held, err := Config{Side: SideHost}.Dial(testContext(t), url) // keeps the channel open
		if err != nil {
			t.Fatal(err)
		}
		first.kill()
		start(t, "listen", url, SideGuest)
		c, err := Config{Side: SideHost}.Dial(testContext(t), url)
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, c, "second")
		mustRead(t, c, "second")
		_ = held.Close()
		_ = c.Close()
		awaitNothingLeft()
	}
}

func TestWhoDialedDiesAndItsConnectionIsReset(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		dials, _ := w.sides()
		s := listen(t, w, Config{Guests: 1})
		var idle []net.Conn // that nobody reads or closes for now
		for range 3 {
			o := start(t, "dial", s.url, dials)
			o.ready()
			c, err := s.listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			mustRead(t, c, "hello")
			idle = append(idle, c)
			o.kill()
		}
		for _, c := range idle {
			_, err := c.Read(make([]byte, 1))
			wants(t, "read", err, syscall.ECONNRESET, false)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestWhoDialedClosesAndEndsAndAllArrives(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		dials, _ := w.sides()
		s := listen(t, w, Config{})
		o := start(t, "dial", s.url, dials)
		c, err := s.listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		o.ready()
		ended := make(chan bool)
		go func() {
			o.end()
			close(ended)
		}()
		if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		<-ended
		if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after its end: %d, %v", n, err)
		}
		_ = c.Close()
	})
}

func TestProcessesShareAListener(t *testing.T) {
	for _, kind := range []string{"shm", "unix"} {
		t.Run(kind, func(t *testing.T) { shareAListener(t, kind) })
	}
}

func shareAListener(t *testing.T, kind string) {
	s := listen(t, way{kind: kind}, Config{Guests: 3})
	var others []*other
	for range 3 {
		others = append(others, start(t, "dial", s.url, SideAuto))
	}
	places := map[int]bool{}
	for range others {
		c, err := s.listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		mustRead(t, c, "hello")
		places[c.RemoteAddr().(Addr).Place] = true
		defer c.Close()
	}
	if len(places) != 3 {
		t.Errorf("places %v", places)
	}
	for _, o := range others {
		o.ready()
		o.end()
	}
}
