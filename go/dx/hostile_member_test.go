// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// member is a client of a rendezvous that has every member's eventfd.
type member struct {
	socket *net.UnixConn
	bells  []int
}

// join is told of all who are there, up to itself.
func join(t *testing.T, url string) *member {
	t.Helper()
	socket, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: strings.TrimPrefix(url, "unix:"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{socket: socket}
	t.Cleanup(m.leave)
	own := int64(math.MinInt64)
	for n := 0; ; n++ {
		value, fd := m.hear(t)
		switch {
		case n == 1:
			own = value
		case fd >= 0 && value < 0: // the memory
			_ = unix.Close(fd)
		case fd >= 0:
			m.bells = append(m.bells, fd)
		}
		if fd >= 0 && value == own {
			return m
		}
	}
}

func (m *member) hear(t *testing.T) (value int64, fd int) {
	t.Helper()
	var bytes [8]byte
	ancillary := make([]byte, unix.CmsgSpace(4))
	n, oob, _, _, err := m.socket.ReadMsgUnix(bytes[:], ancillary)
	if err != nil || n != len(bytes) {
		t.Fatalf("%d bytes of a message: %v", n, err)
	}
	fd = -1
	messages, err := unix.ParseSocketControlMessage(ancillary[:oob])
	for _, c := range messages {
		fds, wrong := unix.ParseUnixRights(&c)
		err = errors.Join(err, wrong)
		if len(fds) == 1 {
			fd = fds[0]
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return int64(binary.LittleEndian.Uint64(bytes[:])), fd
}

func (m *member) leave() {
	_ = m.socket.Close()
	for _, fd := range m.bells {
		_ = unix.Close(fd)
	}
	m.bells = nil
}

// attack fills everybody's eventfd and makes it blocking, takes rings away, and rings.
func (m *member) attack(round int) {
	var full, one [8]byte
	binary.LittleEndian.PutUint64(full[:], math.MaxUint64-1)
	one[0] = 1
	for _, fd := range m.bells {
		_ = unix.SetNonblock(fd, true)
		switch round % 3 {
		case 0:
			_, _ = unix.Write(fd, full[:])
		case 1:
			takeRings(uintptr(fd))
		default:
			_, _ = unix.Write(fd, one[:])
		}
		_ = unix.SetNonblock(fd, false)
	}
}

func TestAMemberThatAttacksDoorbellsHarmsNoHonestCall(t *testing.T) {
	for _, path := range []Path{PathNative, PathCgo} {
		w := sleeper(t, "doorbell")
		options := Options{Wait: &w, Path: path}
		l, url := listen(t, 2, options)
		leave := []func(){guestOf(t, url, options), guestOf(t, url, options)}
		m := join(t, url)
		if len(m.bells) != 4 {
			t.Fatalf("%d eventfds", len(m.bells))
		}
		var rounds atomic.Int64
		var attack sync.WaitGroup
		var ended atomic.Bool
		attack.Go(func() {
			for !ended.Load() {
				m.attack(int(rounds.Add(1)))
			}
		})
		var calls sync.WaitGroup
		for _, ch := range l.Channels() {
			c := newCallerOf(t, ch)
			calls.Go(func() {
				var request, response [8]byte
				for n := range 30 {
					binary.LittleEndian.PutUint64(request[:], uint64(n))
					reply, err := c.Call(testContext(t), TypeUser, request[:], response[:])
					if err != nil || string(reply.Data) != string(request[:]) {
						t.Errorf("path %d, call %d: %x, %v", path, n, reply.Data, err)
						return
					}
				}
			})
		}
		calls.Wait()
		for _, one := range leave { // while it attacks
			one()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		ended.Store(true)
		attack.Wait()
		if rounds.Load() < 3 {
			t.Error("there was no attack")
		}
	}
}
