// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/alarm"
	"dx/experiments/internal/boundary"
	"dx/experiments/internal/content"
	"dx/go/dx"
)

// Transports without dx into a virtual machine, to compare with: one caller, both sides in Go by blocking
// reads and writes, which is the fastest that Go has for them.
const (
	TransportSerial = "virtio-serial" // a port of virtio-serial, at a socket of QEMU on the host
	TransportTCP    = "tcp"           // a virtio network card and QEMU's user networking
	TransportVsock  = "vsock"         // AF_VSOCK, which the host's kernel carries
)

func isAlternative(transport string) bool {
	return transport == TransportSerial || transport == TransportTCP || transport == TransportVsock
}

const (
	alternativePatience = 100 // seconds, for one read
	alternativeTCP      = "tcp:"
	alternativeSerial   = "serial:"
	alternativeVsock    = "vsock:%d:%d" // CID and port
)

// isAlternativeURL says whether a guest that is told to go there is one of an alternative.
func isAlternativeURL(url string) bool {
	return strings.HasPrefix(url, alternativeTCP) || url == alternativeSerial || isVsock(url)
}

func isVsock(url string) bool { return strings.HasPrefix(url, TransportVsock+":") }

// alternativeLoad is the calling side.
type alternativeLoad struct {
	c        Config
	where    string                     // for the guest
	accept   func() (fd int, err error) // the guest, which dials so that no free port has to be guessed
	unlisten func() error               // ends accept
	stream   int                        // a socket; -1: there is none yet
	alarm    *alarm.Alarm
	ended    atomic.Bool
	stopped  atomic.Bool
	sequence uint64
	request  []byte
	response []byte
}

func openAlternative(c Config, m *boundary.Machine) (*alternativeLoad, error) {
	switch c.Transport {
	case TransportTCP:
		return listenTCP(c)
	case TransportVsock:
		return listenVsock(c, boundary.VsockHost, m.CID())
	}
	l := newAlternative(c)
	l.where = alternativeSerial
	conn, err := net.Dial("unix", m.SerialSocket())
	if err == nil {
		l.stream, err = blocking(conn)
	}
	return l, err
}

func newAlternative(c Config) *alternativeLoad {
	return &alternativeLoad{c: c, stream: -1, request: make([]byte, c.Payload), response: make([]byte, c.Payload)}
}

func listenTCP(c Config) (*alternativeLoad, error) {
	l := newAlternative(c)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.unlisten = listener.Close
	l.accept = func() (int, error) {
		conn, err := listener.Accept()
		if err != nil {
			return -1, err
		}
		return blocking(conn)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	l.where = alternativeTCP + net.JoinHostPort(boundary.GuestGateway, port)
	return l, nil
}

// listenVsock awaits the guest of one CID at another.
func listenVsock(c Config, at, guest uint32) (*alternativeLoad, error) {
	l := newAlternative(c)
	listener, err := boundary.ListenVsock(at)
	if err != nil {
		return nil, err
	}
	l.unlisten = listener.Close
	l.accept = func() (int, error) { return listener.Accept(guest) }
	l.where = fmt.Sprintf(alternativeVsock, at, listener.Port())
	return l, nil
}

// blocking takes the socket of a connection out of the runtime's poller.
func blocking(conn net.Conn) (fd int, err error) {
	defer func() { _ = conn.Close() }()
	file, err := conn.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return -1, err
	}
	defer func() { _ = file.Close() }()
	if fd, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3); err != nil {
		return -1, err
	}
	return fd, unix.SetNonblock(fd, false)
}

func (l *alternativeLoad) url() string               { return l.where }
func (l *alternativeLoad) fd() int                   { return -1 }
func (l *alternativeLoad) park() dx.Park             { return dx.ParkNever }
func (l *alternativeLoad) stats(dx.StatsOf) dx.Stats { return dx.Stats{} }

func (l *alternativeLoad) open(int, bool) error {
	var err error
	if l.alarm, err = alarm.New(); err != nil {
		return err
	}
	if l.accept != nil {
		if l.stream, err = l.accept(); err != nil { // the guest has dialled
			return err
		}
	}
	patience := unix.Timeval{Sec: alternativePatience}
	return unix.SetsockoptTimeval(l.stream, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience)
}

// slice is as that of goLoad with one caller.
func (l *alternativeLoad) slice(of stretch) (slice, error) {
	l.ended.Store(l.stopped.Load())
	s := newSlice(of)
	s.calls = []uint64{0}
	began := time.Now()
	timer := time.AfterFunc(of.d, func() { l.ended.Store(of.open == nil || l.stopped.Load()) })
	defer timer.Stop()
	var err error
	if of.open != nil {
		err = l.scheduled(of.open, began, &s)
		for left := time.Until(began.Add(of.d)); left > 0 && !l.ended.Load(); left = time.Until(began.Add(of.d)) {
			time.Sleep(min(left, alarm.LongestSleep))
		}
	} else {
		for err == nil && !l.ended.Load() {
			start := time.Now()
			if err = l.call(&s); err == nil && s.latency != nil {
				s.latency.Record(int64(time.Since(start)))
			}
		}
	}
	s.elapsed = time.Since(began)
	if l.stopped.Load() {
		err = nil
	}
	return s, err
}

func (l *alternativeLoad) scheduled(o *schedule, began time.Time, s *slice) error {
	for n := o.first; n < o.end; n++ {
		intended := began.Add(o.start(n))
		l.alarm.Wait(intended, o.spin, &l.ended)
		if l.ended.Load() || time.Since(began) > o.longest {
			s.missed += o.end - n
			return nil
		}
		if o.noCalls {
			s.calls[0]++
			continue
		}
		start := time.Now()
		if err := l.call(s); err != nil {
			return err
		}
		s.record([]uint32{sample(time.Since(start))}, []uint32{sample(time.Since(intended))})
	}
	return nil
}

// call fails only if there is no use in another one.
func (l *alternativeLoad) call(s *slice) error {
	l.sequence++
	if l.c.Verify {
		content.Fill(l.request, 0, l.sequence)
	}
	err := writeAll(l.stream, l.request)
	if err == nil {
		err = readAll(l.stream, l.response)
	}
	if err != nil {
		s.errors++
		return fmt.Errorf("%s: %w", l.c.Transport, err)
	}
	s.calls[0]++
	if l.c.Verify && !content.IsAnswer(l.response, len(l.request), 0, l.sequence) {
		s.verifyFailures++
	}
	return nil
}

func (l *alternativeLoad) stop() {
	l.stopped.Store(true)
	l.ended.Store(true)
	if l.unlisten != nil {
		_ = l.unlisten()
	}
}

func (l *alternativeLoad) close() error {
	l.alarm.Close()
	if l.stream < 0 {
		return nil
	}
	return unix.Close(l.stream)
}

func readAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Read(fd, data)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.EOF
		default:
			data = data[n:]
		}
	}
	return nil
}

func writeAll(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("write", err)
		}
		data = data[max(n, 0):]
	}
	return nil
}

// serveAlternative is the guest: it answers until the host has gone.
func serveAlternative(g guestConfig) error {
	fd, err := dialAlternative(g.URL)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for data := make([]byte, g.Payload); ; {
		if err := readAll(fd, data); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if g.Verify {
			content.Answer(data)
		}
		if err := writeAll(fd, data); err != nil {
			return err
		}
	}
}

func dialAlternative(url string) (fd int, err error) {
	if isVsock(url) {
		var cid, port uint32
		if _, err := fmt.Sscanf(url, alternativeVsock, &cid, &port); err != nil {
			return -1, fmt.Errorf("%s: %w", url, err)
		}
		return boundary.DialVsock(cid, port)
	}
	address, isTCP := strings.CutPrefix(url, alternativeTCP)
	if !isTCP {
		return boundary.OpenSerial()
	}
	conn, err := net.DialTimeout("tcp4", address, alternativePatience*time.Second) // it sets TCP_NODELAY
	if err != nil {
		return -1, err
	}
	return blocking(conn)
}
