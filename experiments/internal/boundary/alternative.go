// SPDX-License-Identifier: Apache-2.0

package boundary

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"dx/vm/machine"
	"dx/vm/quick"
)

// What else leads into a machine: a virtio-serial port behind a socket of QEMU, and a virtio network
// card behind QEMU's user networking. The host is the network's GuestGateway.
const (
	serialName      = "dx.alternative"
	GuestGateway    = "10.0.2.2"
	guestAddress    = "10.0.2.15"
	loopbackAddress = "127.0.0.1"
)

// addAlternatives gives a machine both.
func (m *Machine) addAlternatives(c *quick.Config) {
	c.Network = true
	c.Modules = append(c.Modules, "virtio_pci", "virtio_console", "virtio_net")
	c.Extra = append(c.Extra, "-device", "virtio-serial-pci", "-chardev",
		"socket,id=alternative,server=on,wait=off,path="+m.SerialSocket(),
		"-device", "virtserialport,chardev=alternative,name="+serialName)
}

// SerialSocket is where the host reaches the port, one client at a time.
func (m *Machine) SerialSocket() string { return filepath.Join(m.folder, "serial") }

// OpenSerial opens the guest's end of the port, for blocking reads and writes, when the host has its
// end: a read before that would be the end of the file.
func OpenSerial() (fd int, err error) {
	names, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return -1, err
	}
	for _, name := range names {
		folder := filepath.Dir(name)
		if machine.Attribute(folder, "name") != serialName {
			continue
		}
		fd, err := unix.Open("/dev/"+filepath.Base(folder), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1, fmt.Errorf("%s: %w", filepath.Base(folder), err)
		}
		for end := time.Now().Add(readyMax); time.Now().Before(end); time.Sleep(time.Millisecond) {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(p, 0); err == nil && p[0].Revents&unix.POLLHUP == 0 {
				return fd, nil
			}
		}
		return -1, errors.New("nobody has the host's end of the virtio-serial port")
	}
	return -1, errors.New("this machine has no virtio-serial port " + serialName)
}

// setUpNetwork gives the one network card its address, and begins the loopback.
func setUpNetwork() error {
	cards, err := net.Interfaces()
	if err != nil {
		return err
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(socket) }()
	found := false
	for _, card := range cards {
		address := guestAddress
		if card.Flags&net.FlagLoopback != 0 {
			address = loopbackAddress
		} else {
			found = true
		}
		if err := begin(socket, card.Name, address); err != nil {
			return fmt.Errorf("network card %s: %w", card.Name, err)
		}
	}
	if !found {
		return errors.New("this machine has no network card")
	}
	return nil
}

// begin gives a card its address, and switches it on.
func begin(socket int, card, address string) error {
	r, err := unix.NewIfreq(card)
	if err == nil {
		err = r.SetInet4Addr(net.ParseIP(address).To4())
	}
	if err == nil {
		err = unix.IoctlIfreq(socket, unix.SIOCSIFADDR, r)
	}
	if err == nil {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
		err = unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, r)
	}
	return err
}
