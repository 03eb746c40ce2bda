// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"dx/vm/debian"
	"dx/vm/machine"
)

// Modes of the ivshmem device.
const (
	Plain    = "plain"    // a shared file: nobody can ring, waiting is polling
	Doorbell = "doorbell" // memory from a Unix socket, with interrupts both ways
)

// Config is what a user can choose about a guest.
type Config struct {
	Name      string `json:"name"`
	CPUs      int    `json:"cpus"`
	MemoryMiB int    `json:"memory_mib"`
	DiskBytes int64  `json:"disk_bytes"` // what the guest sees; what it writes is lost at its end
	SSHPort   int    `json:"ssh_port"`   // on 127.0.0.1; 0: any that is free
	Pin       []int  `json:"pin,omitempty"`

	Mode        string `json:"mode"`
	RegionBytes int64  `json:"region_bytes"`
	RegionPath  string `json:"region_path,omitempty"` // of plain mode: the file to make
	Socket      string `json:"socket,omitempty"`      // of doorbell mode: a server's; empty: one of our own
	Vectors     int    `json:"vectors"`
	DXTool      string `json:"dx_tool,omitempty"` // the dx program, for a server of our own

	Image debian.Image  `json:"image"`
	Accel machine.Accel `json:"accel"`
	Why   string        `json:"accel_why"` // why it is that accelerator
	Ready time.Duration `json:"ready_ns"`  // how long the guest may take until it is ready
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

// Check says what is wrong with the configuration itself. It looks at nothing outside of it.
func (c Config) Check() error {
	switch {
	case !nameForm.MatchString(c.Name):
		return fmt.Errorf("name %q: 1 to 31 of a-z, 0-9 and -, not - at first: it becomes the guest's host name", c.Name)
	case c.CPUs < 1 || c.CPUs > machine.CPUsMax:
		return fmt.Errorf("%d CPUs: 1 to %d", c.CPUs, machine.CPUsMax)
	case c.MemoryMiB < 256 || c.MemoryMiB > machine.MemoryMiBMax:
		return fmt.Errorf("%d MiB of memory: 256 to %d", c.MemoryMiB, machine.MemoryMiBMax)
	case c.Mode != Plain && c.Mode != Doorbell:
		return fmt.Errorf("mode %q: plain or doorbell", c.Mode)
	case c.Mode == Plain && c.Socket != "":
		return errors.New("a socket is of doorbell mode only")
	case c.Mode == Doorbell && c.RegionPath != "":
		return errors.New("a region file is of plain mode only: in doorbell mode the memory comes from the socket")
	case c.Vectors < 1 || c.Vectors > 4:
		return fmt.Errorf("%d vectors: 1 to 4", c.Vectors)
	case c.SSHPort < 0 || c.SSHPort > 65535:
		return fmt.Errorf("port %d: 1 to 65535, or 0 for any", c.SSHPort)
	case c.Ready <= 0:
		return errors.New("the guest needs time to become ready")
	}
	return machine.CheckRegionBytes(c.RegionBytes)
}

// CheckHost says what stands against the configuration here and now, before anything is made, and
// which tools are missing, those that others will use included.
func (c Config) CheckHost(others ...string) error {
	tools := append([]string{"qemu-system-x86_64", "qemu-img", "genisoimage", "ssh", "ssh-keygen"}, others...)
	if err := debian.Need(tools...); err != nil {
		return err
	}
	if c.SSHPort > 0 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.SSHPort))
		if err != nil {
			return fmt.Errorf("ssh port: %w", err)
		}
		_ = l.Close()
	}
	if c.Mode == Doorbell {
		return c.checkServer()
	}
	if s, err := os.Lstat(c.RegionPath); err == nil {
		return &existsError{c.RegionPath, s}
	}
	return checkSpace(filepath.Dir(c.RegionPath), c.RegionBytes)
}

// checkServer joins a server as a peer that leaves at once: a socket that nobody serves is found
// before QEMU finds it, and so is one that accepts and stays silent, which would block QEMU.
func (c Config) checkServer() error {
	if c.Socket == "" {
		if c.DXTool == "" {
			return errors.New("no dx program for the ivshmem server: give -dx, or -socket of a server that runs")
		}
		return nil
	}
	conn, err := net.DialTimeout("unix", c.Socket, time.Second)
	if err != nil {
		return fmt.Errorf("ivshmem server: %w; \"dx rendezvous %s\" is one", err, c.Socket)
	}
	defer func() { _ = conn.Close() }()
	var version [8]byte
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if n, err := conn.Read(version[:]); err != nil || n != len(version) || version != [8]byte{} {
		return fmt.Errorf("%s serves something else than ivshmem, protocol version 0", c.Socket)
	}
	return nil
}

// existsError refuses a region's path at which something is already.
type existsError struct {
	path string
	stat os.FileInfo
}

func (e *existsError) Error() string {
	what := fmt.Sprintf("a file of %d bytes", e.stat.Size())
	if !e.stat.Mode().IsRegular() {
		what = "no regular file"
	}
	return fmt.Sprintf("region %s: exists already (%s) and is left alone: another guest or program may use it; "+
		"give another -name or -region-file, or remove it if nobody does", e.path, what)
}

func (e *existsError) Unwrap() error { return os.ErrExist }

func checkSpace(folder string, bytes int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(folder, &fs); err != nil {
		return fmt.Errorf("region: %s: %w", folder, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < bytes {
		return fmt.Errorf("region of %d bytes: %s has %d bytes free", bytes, folder, free)
	}
	return nil
}
