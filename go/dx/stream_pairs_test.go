// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dx/go/dx"
	"dx/go/internal/cstream"
	"dx/libdx"
)

const (
	guestVariable = "DX_TEST_STREAM_GUEST" // "c" or "go"; the URL is the next one
	urlVariable   = "DX_TEST_STREAM_URL"
	pairCapacity  = 1 << 16
	pairType      = dx.TypeUser + 1
)

// TestMain plays a guest if this process was started as one.
func TestMain(m *testing.M) {
	url := os.Getenv(urlVariable)
	switch os.Getenv(guestVariable) {
	case "c":
		os.Exit(int(-cstream.Guest(url)))
	case "go":
		os.Exit(goGuest(url))
	case "parent":
		os.Exit(parentOfAnother(url))
	}
	os.Exit(m.Run())
}

func goGuest(url string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	guest, err := dx.Attach(ctx, url, dx.Options{})
	if err != nil {
		return 99
	}
	none := dx.HandlerFunc(func(*dx.Request, []byte) (int, int32) { return 0, 0 })
	_ = guest.ServeWith(ctx, none, dx.ServeOptions{Streams: dx.StreamHandlerFunc(
		func(s *dx.Stream) int32 {
			if _, err := io.Copy(s, s); err != nil {
				return 2
			}
			return 1
		})})
	_ = guest.Close()
	return 0
}

func startGuest(t *testing.T, language, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), guestVariable+"="+language, urlVariable+"="+url)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

type place struct{ at uint64 }

func (p *place) next() byte {
	b := byte(p.at * 0x9e3779b97f4a7c15 >> 56)
	p.at++
	return b
}

func (p *place) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = p.next()
	}
	return len(b), nil
}

func (p *place) Write(b []byte) (int, error) {
	for i := range b {
		if b[i] != p.next() {
			return i, fmt.Errorf("byte %d is wrong", p.at-1)
		}
	}
	return len(b), nil
}

// openPair creates a host in Go and opens a stream to its guest.
func openPair(t *testing.T, url string) (*dx.Caller, *dx.Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	t.Cleanup(cancel)
	host, err := dx.Create(url, dx.Config{Slots: 1, RequestBytes: pairCapacity, ResponseBytes: pairCapacity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	c, err := host.OpenCaller(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	s, err := c.OpenStream(ctx, pairType, dx.StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestStreamsBetweenAllFourPairs(t *testing.T) {
	const total = 20<<20 + 7
	for _, guest := range []string{"c", "go"} {
		t.Run("c host, "+guest+" guest", func(t *testing.T) {
			url := "file:" + filepath.Join(t.TempDir(), "region")
			startGuest(t, guest, url)
			status, outcome := cstream.Host(url, pairCapacity, total, pairType)
			if outcome != libdx.OK || status != 1 {
				t.Errorf("outcome %d, status %d", outcome, status)
			}
		})
		t.Run("go host, "+guest+" guest", func(t *testing.T) {
			url := "file:" + filepath.Join(t.TempDir(), "region")
			startGuest(t, guest, url)
			_, s := openPair(t, url)
			written := make(chan error, 1)
			go func() {
				_, err := io.CopyN(s, &place{}, total)
				s.CloseWrite()
				written <- err
			}()
			n, err := io.Copy(&place{}, s)
			if err != nil || n != total {
				t.Errorf("%d of %d bytes came back: %v", n, total, err)
			}
			if err := <-written; err != nil {
				t.Error(err)
			}
			if status, err := s.End(); err != nil || status != 1 {
				t.Errorf("status %d, %v", status, err)
			}
		})
	}
}

func TestAGuestThatIsKilledEndsItsStreamAndTheNextOneBeginsAnew(t *testing.T) {
	for _, first := range []string{"c", "go"} {
		for _, second := range []string{"c", "go"} {
			t.Run(first+", then "+second, func(t *testing.T) { killInMidStream(t, first, second) })
		}
	}
}

func killInMidStream(t *testing.T, first, second string) {
	url := "file:" + filepath.Join(t.TempDir(), "region")
	guest := startGuest(t, first, url)
	c, s := openPair(t, url)
	sent, back := &place{}, &place{}
	for range 100 { // under way in both directions
		if _, err := io.CopyN(s, sent, 1000); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(back, s, 1000); err != nil {
			t.Fatal(err)
		}
	}
	_ = guest.Process.Kill()
	_ = guest.Wait()
	began := time.Now()
	_, err := io.Copy(io.Discard, s)
	if !errors.Is(err, dx.ErrPeerDead) {
		t.Errorf("read: %v", err)
	}
	t.Logf("noticed after %v", time.Since(began))
	if _, err := s.End(); !errors.Is(err, dx.ErrPeerDead) {
		t.Errorf("end: %v", err)
	}
	startGuest(t, second, url)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	// As with calls, a dead peer is dead until the next one has come.
	for s, err = c.OpenStream(ctx, pairType, dx.StreamOptions{}); errors.Is(err, dx.ErrPeerDead); {
		s, err = c.OpenStream(ctx, pairType, dx.StreamOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(s, &place{}, 5000); err != nil {
		t.Fatal(err)
	}
	s.CloseWrite()
	if n, err := io.Copy(&place{}, s); n != 5000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if status, err := s.End(); err != nil || status != 1 {
		t.Errorf("status %d, %v", status, err)
	}
}
