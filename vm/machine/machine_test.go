// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRegionSizeMustBeAPowerOfTwo(t *testing.T) {
	for n, hint := range map[int64]string{24 << 20: "33554432", 4097: "8192", 0: "power of two",
		-4096: "power of two", 2048: "power of two", RegionMax * 2: "power of two"} {
		if err := CheckRegionBytes(n); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, n := range []int64{RegionMin, 1 << 20, RegionMax} {
		if err := CheckRegionBytes(n); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestDevicesThatQEMULacksAreSaid(t *testing.T) {
	if err := Offers(t.Context(), "ivshmem-plain"); err != nil {
		t.Error(err)
	}
	if err := Offers(t.Context(), "ivshmem-pla"); err == nil || !strings.Contains(err.Error(), "has no device ivshmem-pla") {
		t.Error(err)
	}
}

func TestRegionIsNeverMadeOverSomethingThatExists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRegion(path, 4096); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("it became %q, %v", text, err)
	}
}

func TestRegionThatDoesNotFitItsFileSystemLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if _, err := CreateRegion(path, RegionMax*4); err == nil {
		t.Error("256 GiB are no region")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// plain is a machine that QEMU can start with a region of 1 MiB.
func plain(t *testing.T) Config {
	t.Helper()
	r, err := CreateRegion(filepath.Join(t.TempDir(), "a,region"), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return Config{Accel: TCG, Kernel: "kernel", Region: r}
}

var foreign = map[Arch]Arch{X8664: AArch64, AArch64: X8664}

func TestImpossibleMachinesAreRefusedBeforeQEMUStarts(t *testing.T) {
	for text, change := range map[string]func(*Config){
		"accelerator":   func(c *Config) { c.Accel = "" },
		"architecture":  func(c *Config) { c.Arch = "vax" },
		"tcg does":      func(c *Config) { c.Accel, c.Arch = KVM, foreign[HostArch()] },
		"CPUs":          func(c *Config) { c.CPUs = 65 },
		"memory":        func(c *Config) { c.MemoryMiB = 1 },
		"kernel":        func(c *Config) { c.Kernel = "" },
		"power of two":  func(c *Config) { c.Region.Bytes = 3 << 20 },
		"has 1048576":   func(c *Config) { c.Region.Bytes = 2 << 20 },
		"no such file":  func(c *Config) { c.Region.Path += "2" },
		"either a file": func(c *Config) { c.Region.Socket = "s" },
		"vectors":       func(c *Config) { c.Region = Region{Socket: "s"} },
		"format":        func(c *Config) { c.Disks = []Disk{{Path: "d", Format: "vmdk"}} },
		"port":          func(c *Config) { c.Forwards = []Forward{{HostPort: 1 << 16, GuestPort: 22}} },
	} {
		c := plain(t)
		change(&c)
		m, err := Start(c)
		if err == nil {
			m.Kill()
		}
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMissingQEMUSaysWhatToInstall(t *testing.T) {
	c := plain(t)
	t.Setenv("PATH", t.TempDir())
	for arch, debian := range map[Arch]string{X8664: "qemu-system-x86", AArch64: "qemu-system-arm"} {
		c.Arch = arch
		if _, err := Start(c); !errors.Is(err, ErrMissing) || !strings.HasSuffix(err.Error(), "apt-get install "+debian) {
			t.Error(err)
		}
	}
}

func TestNetworkListensOnTheLoopbackAddressOnly(t *testing.T) {
	c := Config{Forwards: []Forward{{HostPort: 2222, GuestPort: 22}}}
	if args := strings.Join(c.network(), " "); !strings.Contains(args, "hostfwd=tcp:127.0.0.1:2222-:22") {
		t.Error(args)
	}
	if args := (Config{}).network(); args != nil {
		t.Error(args)
	}
}

// start needs QEMU, which what checks this project installs.
func start(t *testing.T, c Config) *Machine {
	t.Helper()
	m, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Kill)
	return m
}

func TestWhatQEMURefusesIsInTheError(t *testing.T) {
	m := start(t, plain(t)) // there is no file "kernel"
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := m.Await(ctx, "ready"); err == nil || !strings.Contains(err.Error(), "kernel") {
		t.Error(err)
	}
	<-m.Ended()
	if m.Err() == nil {
		t.Error("an ended machine has no error")
	}
}

// Without a kernel that boots QEMU stays, and only the deadline ends the wait.
func TestMachineIsPausedResumedAndKilled(t *testing.T) {
	c := plain(t)
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Kernel, c.Disks = "", []Disk{{Path: disk, Format: "raw"}}
	m := start(t, c)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := m.Await(ctx, "ready"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := m.Pause(); err != nil {
		t.Error(err)
	}
	before, err := m.CPUTime()
	if err != nil || before == 0 {
		t.Errorf("%v %v", before, err)
	}
	if after, err := m.CPUTime(); err != nil || after != before {
		t.Errorf("paused, it used %v, then %v; %v", before, after, err)
	}
	if err := m.Resume(); err != nil {
		t.Error(err)
	}
	pid := m.PID()
	m.Kill()
	m.Kill()
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is still there")
	}
	if err := m.Wait(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestChoiceOfTheAccelerator(t *testing.T) {
	broken := func(context.Context, Accel) error { return errors.New("it spins\nand spins") }
	accel, why, err := Choose(context.Background(), broken)
	if accel != TCG || why == "" || strings.Contains(why, "\n") || err != nil {
		t.Error(accel, why, err)
	}
	t.Setenv(AccelEnv, "kvm")
	if accel, _, err = Choose(context.Background(), broken); accel != KVM || err != nil {
		t.Error(accel, err)
	}
	t.Setenv(AccelEnv, "xen")
	if _, _, err = Choose(context.Background(), broken); err == nil {
		t.Error("xen was taken")
	}
}
