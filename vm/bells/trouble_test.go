// SPDX-License-Identifier: Apache-2.0

package bells

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

// A third peer rings both sides, without cause and as fast as it can: calls go on.
func TestAStormOfDoorbellsStopsNoCall(t *testing.T) {
	s := newScene(t, "go")
	s.start(s.boot(), "ivshmem:doorbell", "1", "cgo")
	fds := bells(t, strings.TrimPrefix(s.url, "unix:"))
	if len(fds) != 2 {
		t.Fatalf("%d peers beside us, not the host and the machine", len(fds))
	}
	var storm sync.WaitGroup
	var ended atomic.Bool
	var rings atomic.Uint64
	storm.Go(func() {
		one := [8]byte{1}
		for !ended.Load() {
			for _, fd := range fds {
				_, _ = unix.Write(fd, one[:])
				rings.Add(1)
			}
		}
	})
	t.Logf("median %v", s.calls(300))
	ended.Store(true)
	storm.Wait()
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	if rings.Load() < 1000 {
		t.Errorf("%d rings are no storm", rings.Load())
	}
	t.Logf("after it, and %d rings: %v", rings.Load(), s.calls(300))
}
