// SPDX-License-Identifier: Apache-2.0

package boundary

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

	"dx/experiments/internal/floor"
	"dx/experiments/internal/peer"
	"dx/vm/quick"
)

func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func boot(t *testing.T) *Machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	m, err := Boot(ctx, Options{Bytes: 1 << 20, Say: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAndLook(t, m) })
	return m
}

// closeAndLook closes a machine. It leaves neither its folder nor a process.
func closeAndLook(t *testing.T, m *Machine) {
	t.Helper()
	folder, pid := m.folder, m.guest.PID()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	for _, path := range []string{folder, filepath.Join("/proc", strconv.Itoa(pid))} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

func TestDeviceHoldsBothAreas(t *testing.T) {
	for bytes, want := range map[int64]int64{0: floor.BoundaryBytes, 1: 2 * floor.BoundaryBytes,
		floor.BoundaryBytes: 2 * floor.BoundaryBytes, floor.BoundaryBytes + 1: 4 * floor.BoundaryBytes} {
		if got := deviceBytes(bytes); got != want {
			t.Errorf("%d bytes: a device of %d, not %d", bytes, got, want)
		}
	}
}

func TestBareLoopCrossesTheBoundary(t *testing.T) {
	m := boot(t)
	for _, bytes := range []int{0, 64, 100000} {
		for _, pause := range []bool{false, true} {
			r, err := m.Measure(bytes, pause, 20*time.Millisecond)
			if err != nil || r.Loops == 0 || r.RTTNs <= 0 {
				t.Errorf("%d bytes: %+v, %v", bytes, r, err)
			}
		}
	}
	before, err := m.CPUTime()
	if err != nil || before == 0 {
		t.Errorf("CPU time %v, %v", before, err)
	}
	m.Kill()
	if _, err := m.Measure(0, false, time.Millisecond); !errors.Is(err, quick.ErrGone) {
		t.Error(err)
	}
}

func TestWhatAVsockLacksIsSaid(t *testing.T) {
	for device, want := range map[string]string{
		filepath.Join(t.TempDir(), "none"): "none cannot be opened: no such file or directory; load the host's kernel module for it: modprobe vhost_vsock",
		os.DevNull:                         "/dev/null gives no CID for a guest: inappropriate ioctl for device",
	} {
		if err := CheckVsock(t.Context(), device, nil); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A killed process cannot remove its folder; the next one does, but never that of a living one.
func TestFolderOfAKilledProcessIsSwept(t *testing.T) {
	dead, err := os.MkdirTemp(filepath.Dir(regionFolders), filepath.Base(regionFolders))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dead) }()
	living := &Machine{}
	if err := living.makeRegion(0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = living.Close() }()
	old := time.Now().Add(-time.Hour)
	for _, folder := range []string{dead, living.folder} {
		if err := os.Chtimes(folder, old, old); err != nil {
			t.Fatal(err)
		}
	}
	sweep()
	if _, err := os.Stat(dead); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is still there")
	}
	if _, err := os.Stat(living.region.Path); err != nil {
		t.Error(err)
	}
}
