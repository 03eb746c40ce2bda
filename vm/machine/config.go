// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strings"
)

// Config is what a machine consists of. Paths may be relative and must hold no line break.
type Config struct {
	Name      string // in QEMU's process name and in errors; empty: "dx"
	Arch      Arch   // empty: HostArch
	Accel     Accel  // of Choose, or one that the caller knows to work
	CPUs      int    // virtual ones; 0: 2
	MemoryMiB int    // of the guest; 0: 256
	Kernel    string // vmlinux or bzImage, on aarch64 an Image; empty: from the first disk
	Initrd    string
	// InitrdFile is used if Initrd is empty: a file that may have no name. It stays the caller's, who
	// may close it when Start has returned.
	InitrdFile *os.File
	Append     string // the kernel's command line
	Disks      []Disk // virtio-blk: vda, vdb, ...
	Forwards   []Forward
	Network    bool // a virtio network card with user networking, also without Forwards
	Region     Region
	IOMMU      bool      // an intel-iommu or SMMUv3, which the guest's vfio needs
	Pin        []int     // host CPUs of all of QEMU's threads; empty: any
	Console    io.Writer // also gets what the guest says on Arch.Console; it must not block for long
	// Extra is appended to QEMU's command line as it is.
	Extra []string
}

// Disk is one virtio-blk disk.
type Disk struct {
	Path     string
	Format   string // raw, qcow2
	ReadOnly bool
}

// Forward hands connections to a loopback port of the host to a port of the guest.
type Forward struct {
	HostPort, GuestPort int
}

// Region is the memory behind the machine's ivshmem device. The zero value has no device.
type Region struct {
	// Of ivshmem-plain: an existing file of exactly Bytes, a power of two. See CreateRegion.
	Path  string
	Bytes int64
	// Of ivshmem-doorbell: a Unix socket at which an ivshmem server listens, such as that of
	// dx rendezvous, and how many vectors it gives to each peer. QEMU waits at its start for a
	// server that stays silent: Await with a deadline.
	Socket  string
	Vectors int
}

// Kind returns "plain", "doorbell" or "none".
func (r Region) Kind() string {
	switch {
	case r.Socket != "":
		return "doorbell"
	case r.Path != "":
		return "plain"
	}
	return "none"
}

// Bounds of a Config.
const (
	CPUsMax      = 64
	MemoryMiBMin = 64
	MemoryMiBMax = 1 << 20
	RegionMin    = 4096    // a BAR is at least a page
	RegionMax    = 1 << 36 // what the guest's firmware finds a place for
)

// CheckRegionBytes says whether a PCI device can have a BAR of so many bytes.
func CheckRegionBytes(n int64) error {
	if n < RegionMin || n > RegionMax || bits.OnesCount64(uint64(n)) != 1 {
		return fmt.Errorf("a region of %d bytes: the size of an ivshmem device is a power of two "+
			"from 4 KiB to 64 GiB%s", n, nextPower(n))
	}
	return nil
}

func nextPower(n int64) string {
	if n <= RegionMin || n > RegionMax {
		return ""
	}
	return fmt.Sprintf("; the next larger one is %d", int64(1)<<bits.Len64(uint64(n)))
}

// withDefaults fills in what may be left zero.
func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "dx"
	}
	if c.Arch == "" {
		c.Arch = HostArch()
	}
	if c.CPUs == 0 {
		c.CPUs = 2
	}
	if c.MemoryMiB == 0 {
		c.MemoryMiB = 256
	}
	return c
}

func (c Config) check() error {
	switch {
	case c.Arch != X8664 && c.Arch != AArch64:
		return fmt.Errorf("architecture %q is none of: %s, %s", c.Arch, X8664, AArch64)
	case c.Accel == "":
		return errors.New("no accelerator was chosen")
	case c.Accel != TCG && c.Arch != HostArch():
		return fmt.Errorf("%s runs no %s on this machine, which is %s: tcg does", c.Accel, c.Arch, HostArch())
	case c.CPUs < 1 || c.CPUs > CPUsMax:
		return fmt.Errorf("%d CPUs: 1 to %d", c.CPUs, CPUsMax)
	case c.MemoryMiB < MemoryMiBMin || c.MemoryMiB > MemoryMiBMax:
		return fmt.Errorf("%d MiB of memory: %d to %d", c.MemoryMiB, MemoryMiBMin, MemoryMiBMax)
	case c.Kernel == "" && len(c.Disks) == 0:
		return errors.New("neither a kernel nor a disk to boot")
	case c.Region.Path != "" && c.Region.Socket != "":
		return errors.New("a region has either a file or a socket")
	case c.Region.Socket != "" && (c.Region.Vectors < 1 || c.Region.Vectors > 64):
		return fmt.Errorf("%d interrupt vectors: 1 to 64", c.Region.Vectors)
	}
	for _, d := range c.Disks {
		if d.Format != "raw" && d.Format != "qcow2" {
			return fmt.Errorf("disk %s: format %q is none of: raw, qcow2", d.Path, d.Format)
		}
	}
	for _, f := range c.Forwards {
		if min(f.HostPort, f.GuestPort) < 1 || max(f.HostPort, f.GuestPort) > 65535 {
			return fmt.Errorf("forwarding port %d to %d: 1 to 65535", f.HostPort, f.GuestPort)
		}
	}
	if c.Region.Path != "" {
		return checkRegionFile(c.Region)
	}
	return nil
}

// quoted makes a path a value in an option of QEMU, where a comma ends a value.
func quoted(path string) string { return strings.ReplaceAll(path, ",", ",,") }
