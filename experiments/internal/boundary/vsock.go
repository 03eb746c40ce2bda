// SPDX-License-Identifier: Apache-2.0

package boundary

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"dx/vm/machine"
	"dx/vm/quick"
)

// A vsock leads into a machine where the host's kernel carries it: a device of QEMU and a module of
// the guest's kernel are its ends, and a number (CID) names the machine among all on the host.
const (
	// VsockDevice is the host's kernel for QEMU.
	VsockDevice = "/dev/vhost-vsock"
	vsockQEMU   = "vhost-vsock-pci"
	vsockModule = "vmw_vsock_virtio_transport"
	// VsockHost is the CID of the host, as its guests call it.
	VsockHost = unix.VMADDR_CID_HOST
)

// CheckVsock tries what a vsock into a machine needs of this one, device being VsockDevice. The error
// says what is missing, and what to do about it.
func CheckVsock(ctx context.Context, device string, say func(string)) error {
	if _, err := freeCID(device); err != nil {
		return err
	}
	listener, err := ListenVsock(VsockHost)
	if err != nil {
		return err
	}
	_ = listener.Close()
	if err := machine.Offers(ctx, vsockQEMU); err != nil {
		return err
	}
	kernel, err := quick.FindKernel(ctx, machine.HostArch(), say)
	if err != nil {
		return err
	}
	if err := kernel.Has(vsockModule); err != nil {
		return fmt.Errorf("the guest: %w", err)
	}
	return nil
}

// setGuestCID is VHOST_VSOCK_SET_GUEST_CID of linux/vhost.h.
const setGuestCID = 0x4008af60

// freeCID returns a CID that no machine of this host has. It is a random one of two thousand million,
// so that nobody takes it until QEMU does.
func freeCID(device string) (uint32, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return 0, fmt.Errorf("%s cannot be opened: %w; be root, or of the group that may", device, err)
	case err != nil:
		return 0, fmt.Errorf("%s cannot be opened: %w; load the host's kernel module for it: modprobe vhost_vsock", device, err)
	}
	defer func() { _ = unix.Close(fd) }()
	for range 100 {
		cid := VsockHost + 1 + rand.Uint32N(math.MaxInt32-VsockHost)
		asked := uint64(cid)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), setGuestCID, uintptr(unsafe.Pointer(&asked)))
		if errno == 0 {
			return cid, nil
		}
		if err = errno; errno != unix.EADDRINUSE {
			break
		}
	}
	return 0, fmt.Errorf("%s gives no CID for a guest: %w", device, err)
}

// addVsock gives a machine a CID of its own.
func (m *Machine) addVsock(c *quick.Config) (err error) {
	if m.cid, err = freeCID(VsockDevice); err != nil {
		return fmt.Errorf("vsock: %w", err)
	}
	c.Modules = append(c.Modules, "virtio_pci", vsockModule)
	c.Extra = append(c.Extra, "-device", fmt.Sprintf("%s,guest-cid=%d", vsockQEMU, m.cid))
	return nil
}

// CID names the machine at a vsock, if it has one.
func (m *Machine) CID() uint32 { return m.cid }

// VsockListener awaits connections over AF_VSOCK. Any goroutine may close it.
type VsockListener struct {
	file *os.File
	port uint32
}

// ListenVsock listens at a port that is free, of one CID of this machine.
func ListenVsock(cid uint32) (*VsockListener, error) {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("an AF_VSOCK socket: socket", err)
	}
	l := &VsockListener{file: os.NewFile(uintptr(fd), "vsock")}
	err = unix.Bind(fd, &unix.SockaddrVM{CID: cid, Port: unix.VMADDR_PORT_ANY})
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err == nil {
		var at unix.Sockaddr
		if at, err = unix.Getsockname(fd); err == nil {
			l.port = at.(*unix.SockaddrVM).Port
			return l, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("an AF_VSOCK socket of CID %d: %w", cid, err), l.Close())
}

// Port is where it listens.
func (l *VsockListener) Port() uint32 { return l.port }

// Accept returns the next connection from a CID, for blocking reads and writes; others are closed.
func (l *VsockListener) Accept(from uint32) (fd int, err error) {
	raw, err := l.file.SyscallConn()
	if err != nil {
		return -1, err
	}
	for {
		var peer unix.Sockaddr
		closed := raw.Read(func(listening uintptr) bool {
			fd, peer, err = unix.Accept4(int(listening), unix.SOCK_CLOEXEC)
			return !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case closed != nil:
			return -1, fmt.Errorf("vsock: %w: %w", os.ErrClosed, closed)
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return -1, os.NewSyscallError("accept", err)
		case peer.(*unix.SockaddrVM).CID == from:
			return fd, nil
		default:
			_ = unix.Close(fd)
		}
	}
}

// Close ends Accept as well.
func (l *VsockListener) Close() error { return l.file.Close() }

// DialVsock connects, for blocking reads and writes: the other side has readyMax to take it.
func DialVsock(cid, port uint32) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	patience := unix.NsecToTimeval(int64(readyMax))
	err = unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT, &patience)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrVM{CID: cid, Port: port})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("vsock %d:%d: %w", cid, port, err)
	}
	return fd, nil
}
