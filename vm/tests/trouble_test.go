// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bells joins the socket as one more peer and returns the eventfds of the others.
func bells(t *testing.T, path string) (fds []int) {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	own := uint64(0)
	for n := 0; ; n++ {
		var message [8]byte
		control := make([]byte, unix.CmsgSpace(4))
		_, length, _, _, err := c.ReadMsgUnix(message[:], control)
		if err != nil {
			t.Fatal(err)
		}
		id := binary.LittleEndian.Uint64(message[:])
		fd := descriptor(t, control[:length])
		switch {
		case n == 1:
			own = id
		case n > 2 && id == own: // ours come last
			_ = unix.Close(fd)
			return fds
		case n > 2:
			fds = append(fds, fd)
		case fd >= 0: // the memory
			_ = unix.Close(fd)
		}
	}
}

func descriptor(t *testing.T, control []byte) int {
	t.Helper()
	if len(control) == 0 {
		return -1
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatal(fds, err)
	}
	return fds[0]
}

// beside runs do again and again, for the eventfds of the host and of the machine, until the
// function that it returns is called.
func beside(t *testing.T, s *scene, do func(fd int)) (end func()) {
	t.Helper()
	fds := bells(t, strings.TrimPrefix(s.url, "unix:"))
	if len(fds) != 2 {
		t.Fatalf("%d peers beside us, not the host and the machine", len(fds))
	}
	var running sync.WaitGroup
	var ended atomic.Bool
	running.Go(func() {
		for !ended.Load() {
			for _, fd := range fds {
				do(fd)
			}
		}
	})
	end = sync.OnceFunc(func() {
		ended.Store(true)
		running.Wait()
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	})
	t.Cleanup(end)
	return end
}

// A third peer rings both sides, without cause and as fast as it can: calls go on.
func (m *sharedMachine) storm(t *testing.T) {
	s := m.newScene(t, "go")
	s.start(m.guest, "ivshmem:doorbell", "1", "cgo")
	var rings atomic.Uint64
	one := [8]byte{1}
	end := beside(t, s, func(fd int) {
		_, _ = unix.Write(fd, one[:])
		rings.Add(1)
	})
	t.Logf("median %v", s.calls(300))
	end()
	if rings.Load() < 1000 {
		t.Errorf("%d rings are no storm", rings.Load())
	}
	t.Logf("after it, and %d rings: %v", rings.Load(), s.calls(300))
}

// A third peer reads the eventfds of both sides, so that wake-ups are lost: the liveness looks
// rescue the calls, and each side counts that.
func (m *sharedMachine) stolenWakeUpsAreCounted(t *testing.T, host, guest string) {
	s := m.newScene(t, host)
	s.start(m.guest, "ivshmem:doorbell", "1", guest)
	end := beside(t, s, func(fd int) {
		var count [8]byte
		_, _ = unix.Read(fd, count[:])
	})
	deadline := time.Now().Add(patience)
	callers, servers := s.stats()
	for callers.Rescued == 0 || servers.Rescued == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("the host counts %d, the guest %d", callers.Rescued, servers.Rescued)
		}
		s.calls(20)
		callers, servers = s.stats()
	}
	end()
	t.Logf("%d calls: the host counts %d, the guest %d", callers.Calls, callers.Rescued, servers.Rescued)
	s.calls(100)
}
