// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/peer"
	"dx/vm/child"
	"dx/vm/quick"
)

// way is one way into the machine.
type way struct {
	name  string
	conns int // at once
	open  func(s *scene, ctx context.Context) (dial string, end func() error, err error)
}

const (
	viaForward = "dx forward"
	viaNetwork = "user networking"
	viaSerial  = "virtio-serial"
)

// connsMax is how many connections a way has at once, but for the port.
const connsMax = 4

var ways = []way{
	{viaForward, connsMax, (*scene).forward},
	{viaNetwork, connsMax, (*scene).network},
	{viaSerial, 1, (*scene).serial},
}

// patience is for what takes no time on an idle machine: a start, a connection.
const patience = 100 * time.Second

const (
	regionBytes  = 64 << 20
	guestTool    = "/dx"
	guestAddress = "tcp:127.0.0.1:7000" // where dx forward listens in the machine
	// A machine that gets no CPU for a while is not dead.
	peerTimeoutS = "1000"
)

// scene is the machine and what is beside it.
type scene struct {
	config   config
	folder   string
	tool     string
	machine  *boundary.Machine
	listener *net.TCPListener // of the host's program, for all ways that are TCP
	beside   *peer.Beside     // dx forward, while it runs
}

func setUp(ctx context.Context, c config, say func(string)) (s *scene, err error) {
	s = &scene{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.folder, err = os.MkdirTemp("", "dx-forward-"); err != nil {
		return s, err
	}
	s.tool = filepath.Join(s.folder, "dx")
	if err = quick.BuildTool(ctx, s.tool); err != nil {
		return s, err
	}
	if s.listener, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return s, err
	}
	s.machine, err = boundary.Boot(ctx, boundary.Options{Bytes: regionBytes, Alternatives: true, Say: say,
		Doorbell: c.transport == boundary.TransportDoorbell, Programs: map[string]string{guestTool: s.tool}})
	return s, err
}

func (s *scene) close() error {
	err := s.machine.Close()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	return errors.Join(err, os.RemoveAll(s.folder))
}

// port is that of the host's program.
func (s *scene) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// forward starts dx forward on both sides.
func (s *scene) forward(ctx context.Context) (string, func() error, error) {
	cmd := exec.Command(s.tool, "forward", "-connect", fmt.Sprintf("tcp:127.0.0.1:%d", s.port()), "-create",
		"-peer-timeout", peerTimeoutS, "-buffer", s.config.buffer, s.machine.URL())
	cmd.Stderr = os.Stderr
	ours, err := child.StartReady(ctx, cmd)
	if err != nil {
		return "", nil, err
	}
	s.beside = &peer.Beside{Process: ours}
	endOurs := func() error {
		s.beside = nil
		return errors.Join(ours.Signal(syscall.SIGTERM), ours.End())
	}
	theirs, err := s.machine.StartProgram(ctx, []string{guestTool, "forward", "-listen", guestAddress,
		"-peer-timeout", peerTimeoutS, s.machine.GuestURL()}, nil, os.Stderr)
	if err != nil {
		return "", nil, errors.Join(err, endOurs())
	}
	return guestAddress, func() error {
		return errors.Join(theirs.Signal(syscall.SIGTERM), theirs.End(), endOurs())
	}, nil
}

func (s *scene) network(context.Context) (string, func() error, error) {
	return fmt.Sprintf("tcp:%s:%d", boundary.GuestGateway, s.port()), func() error { return nil }, nil
}

func (s *scene) serial(context.Context) (string, func() error, error) {
	return "", func() error { return nil }, nil
}

// connect starts the machine's program, and returns the host's ends of its connections.
func (s *scene) connect(ctx context.Context, w way, dial string) (p *boundary.Process, conns []net.Conn, err error) {
	defer func() {
		if err != nil {
			hangUp(conns)
		}
	}()
	if w.name == viaSerial {
		c, err := net.Dial("unix", s.machine.SerialSocket())
		if err != nil {
			return nil, nil, err
		}
		conns = append(conns, c)
	}
	if p, err = s.machine.StartReady(ctx, []string{guestRole.Variable(guest{dial, w.conns})}, os.Stderr); err != nil {
		return nil, conns, err
	}
	for len(conns) < w.conns {
		_ = s.listener.SetDeadline(time.Now().Add(patience))
		c, err := s.listener.Accept()
		if err != nil {
			return p, conns, err
		}
		conns = append(conns, c)
	}
	return p, conns, nil
}

func hangUp(conns []net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
}

// cpuTime is what this process, dx forward beside it, and all of QEMU have used.
func (s *scene) cpuTime() (all cpuTimes, err error) {
	var own unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &own); err != nil {
		return all, os.NewSyscallError("clock_gettime", err)
	}
	all.OwnS = time.Duration(own.Nano()).Seconds()
	qemu, err := s.machine.CPUTime()
	if err != nil {
		return all, err
	}
	all.QEMUS = qemu.Seconds()
	if s.beside != nil {
		beside, err := s.beside.CPUTime()
		if err != nil {
			return all, err
		}
		all.ForwardS = beside.Seconds()
	}
	return all, nil
}
