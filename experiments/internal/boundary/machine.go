// SPDX-License-Identifier: Apache-2.0

// Package boundary gives an experiment a virtual machine to run its guest in: this program again,
// booted by vm/quick, with the experiment's region behind its ivshmem device. One machine serves
// any number of guest processes, one after the other.
//
// A program that uses it, and the TestMain of its tests, begins with peer.Become.
package boundary

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/floor"
	"dx/libdx"
	"dx/vm/machine"
	"dx/vm/quick"
)

// Transports are the names of the ways across in flags and results: shared memory at which both
// sides must look, and the same with doorbells.
const (
	Transport         = "ivshmem"
	TransportDoorbell = "ivshmem-doorbell"
)

// Crosses says whether a transport leads into a virtual machine.
func Crosses(transport string) bool { return transport == Transport || transport == TransportDoorbell }

// MemoryMiB is what a guest has for itself: its kernel, and a program of an experiment.
const MemoryMiB = 384

// Options of a machine.
type Options struct {
	// Bytes of the region that the experiment needs; the device is larger, by the area of the bare
	// loop and to the next power of two.
	Bytes     int64
	CPUs      int   // virtual ones; 0: 1
	MemoryMiB int   // of the guest; 0: MemoryMiB
	Pin       []int // host CPUs of all of QEMU's threads
	// Doorbell gives the machine a device by which both sides wake each other, bound to vfio in the
	// guest, and an IOMMU for that.
	Doorbell bool
	// Programs are further executables: the guest's path of each, and the host's.
	Programs map[string]string
	// Alternatives gives it a virtio-serial port and a virtio network card besides.
	Alternatives bool
	// Vsock gives it a vsock besides; CheckVsock says whether there can be one.
	Vsock bool
	// Say is told of what takes seconds, and which accelerator it is; may be nil.
	Say func(string)
}

// Machine is a booted guest with a region. Not for two goroutines at a time, but for Kill.
type Machine struct {
	guest   *quick.Guest
	region  machine.Region
	server  *libdx.Rendezvous // of a machine with doorbells
	bytes   int64             // of the device
	folder  string
	options Options
	lock    *os.File
	area    []byte // of the bare loop: the end of the region
	bare    *quick.Command
	relax   string // by BestRelax
	cid     uint32 // of its vsock; 0: it has none
}

const regionFolders = "/dev/shm/dx-boundary-"

// Boot starts a machine and returns when it is ready. Its region is removed by Close; should we be
// killed, by the next Boot of this user.
func Boot(ctx context.Context, o Options) (*Machine, error) {
	sweep()
	m := &Machine{options: o}
	if err := m.makeRegion(o.Bytes); err != nil {
		return nil, err
	}
	err := m.beginRegion()
	if err == nil {
		err = m.start(ctx, o)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// start boots the guest.
func (m *Machine) start(ctx context.Context, o Options) error {
	accel, why, err := quick.Accelerator(ctx, o.Say)
	if err != nil {
		return err
	}
	if o.Say != nil {
		o.Say(fmt.Sprintf("the guest runs under %s: %s", accel, why))
	}
	c := quick.Config{Accel: accel, CPUs: max(1, o.CPUs), Region: m.region,
		MemoryMiB: max(o.MemoryMiB, MemoryMiB), Pin: o.Pin, Programs: o.Programs, Say: o.Say}
	if o.Doorbell {
		c.IOMMU, c.Modules = true, []string{"vfio_iommu_type1", "vfio-pci"}
	}
	if o.Alternatives {
		m.addAlternatives(&c)
	}
	if o.Vsock {
		if err := m.addVsock(&c); err != nil {
			return err
		}
	}
	if m.guest, err = quick.Boot(ctx, c); err != nil {
		return err
	}
	return m.startBare()
}

// Reboot kills the guest, if it still lives, and boots another one with the same region, which is as
// the first one left it.
func (m *Machine) Reboot(ctx context.Context) error {
	if m.guest != nil {
		m.guest.Kill()
	}
	return m.start(ctx, m.options)
}

// deviceBytes is the size of a device for so many bytes and the area of the bare loop behind them.
func deviceBytes(bytes int64) int64 {
	return int64(1) << bits.Len64(uint64(bytes+floor.BoundaryBytes-1))
}

// makeRegion makes the file behind the device, in a folder that nobody else can look into, under a
// lock that says that we live.
func (m *Machine) makeRegion(bytes int64) (err error) {
	if bytes < 0 || bytes > machine.RegionMax/2 {
		return fmt.Errorf("a region of %d bytes: 0 to %d", bytes, int64(machine.RegionMax/2))
	}
	if m.folder, err = os.MkdirTemp(filepath.Dir(regionFolders), filepath.Base(regionFolders)); err != nil {
		return err
	}
	if m.lock, err = os.Open(m.folder); err == nil {
		err = unix.Flock(int(m.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	m.bytes = deviceBytes(bytes)
	if err == nil && m.options.Doorbell {
		err = m.serveRegion()
	} else if err == nil {
		err = m.createRegion()
	}
	if err != nil {
		return errors.Join(err, m.Close())
	}
	return nil
}

// beginRegion makes dx's region of the memory: what the bare loop writes into its area would else be
// somebody's data, of which no host makes a region.
func (m *Machine) beginRegion() error {
	if m.options.Bytes == 0 {
		return nil // no host is to come
	}
	wait, err := libdx.Preset("balanced")
	if err != nil {
		return err
	}
	host, err := libdx.Create(m.URL(), 1, 0, 0, 0, &wait)
	if err != nil {
		return err
	}
	return host.Close()
}

func (m *Machine) createRegion() (err error) {
	if m.region, err = machine.CreateRegion(filepath.Join(m.folder, "region"), m.bytes); err != nil {
		return err
	}
	f, err := os.OpenFile(m.region.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return m.mapArea(int(f.Fd()))
}

// serveRegion serves memory without a name, so that hosts come and go while the machine stays: it is
// as if dx rendezvous ran beside us.
func (m *Machine) serveRegion() (err error) {
	m.region = machine.Region{Socket: filepath.Join(m.folder, "socket"), Vectors: 1}
	if m.server, err = libdx.ServeRendezvous(m.region.Socket, uint64(m.bytes), m.region.Vectors); err != nil {
		return err
	}
	return m.mapArea(m.server.FD())
}

// mapArea maps the end of the region for the bare loop: dx begins at its start.
func (m *Machine) mapArea(fd int) (err error) {
	m.area, err = unix.Mmap(fd, m.bytes-floor.BoundaryBytes, floor.BoundaryBytes,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return err
}

// sweep removes what killed processes of ours left: folders whose lock nobody holds.
func sweep() {
	folders, _ := filepath.Glob(regionFolders + "*")
	for _, folder := range folders {
		f, err := os.Open(folder)
		if err != nil {
			continue
		}
		s, err := f.Stat()
		fresh := err == nil && time.Since(s.ModTime()) < time.Minute // its maker may not have locked it yet
		if err == nil && !fresh && s.IsDir() && ownedByUs(s) && unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(folder)
		}
		_ = f.Close()
	}
}

func ownedByUs(s os.FileInfo) bool {
	owner, ok := s.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Getuid()
}

// URL is where the host finds the region.
func (m *Machine) URL() string {
	if m.options.Doorbell {
		return "unix:" + m.region.Socket
	}
	return "file:" + m.region.Path
}

// GuestURL is where a guest in the machine finds the region.
func (m *Machine) GuestURL() string {
	if m.options.Doorbell {
		return "ivshmem:doorbell"
	}
	return "ivshmem:plain"
}

// Bytes is what the experiment may use of the region.
func (m *Machine) Bytes() int64 { return m.bytes - floor.BoundaryBytes }

// Accelerator names how the guest's instructions are run.
func (m *Machine) Accelerator() string { return string(m.guest.Accel) }

// BootTime went by from QEMU's start until the guest could run programs.
func (m *Machine) BootTime() time.Duration { return m.guest.BootTime }

// CPUTime is what the machine has used until now.
func (m *Machine) CPUTime() (time.Duration, error) { return m.guest.CPUTime() }

// Kill ends the machine at once, as a crash of QEMU would. The region stays until Close.
func (m *Machine) Kill() { m.guest.Kill() }

// Gone says whether the machine has ended.
func (m *Machine) Gone() bool { return m.guest.Err() != nil }

// Close ends the machine and removes the region. m may be nil.
func (m *Machine) Close() error {
	if m == nil {
		return nil
	}
	if m.guest != nil && m.guest.Machine != nil {
		m.guest.Kill()
	}
	var err error
	if m.area != nil {
		err = unix.Munmap(m.area)
		m.area = nil
	}
	if m.server != nil {
		err = errors.Join(err, m.server.Close())
		m.server = nil
	}
	if m.folder != "" {
		err = errors.Join(err, os.RemoveAll(m.folder))
	}
	if m.lock != nil {
		_ = m.lock.Close()
	}
	return err
}

// Measure returns the round trip of the bare loop between the calling thread and the guest, which
// spins with PAUSE or without; see floor.MeasureBoundary. Whoever else runs in the guest is to be
// paused meanwhile.
func (m *Machine) Measure(bytes int, pause bool, d time.Duration) (r floor.Result, err error) {
	if err := m.bare.Signal(syscall.SIGCONT); err != nil {
		return r, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err = floor.MeasureBoundary(m.area, bytes, pause, d, m.guest.Ended())
	return r, errors.Join(err, m.bare.Signal(syscall.SIGSTOP))
}
