// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUpDownLeavesNothing(t *testing.T) {
	b := newBench(t, fakeReady)
	s := b.up()
	if s.Phase != PhaseStarting && s.Phase != PhaseUp {
		t.Error("phase", s.Phase)
	}
	up, err := b.folder.Up()
	if err != nil || up.Phase != PhaseUp || up.SSHPort == 0 || !up.QEMU.Running() || up.ReadyAfter <= 0 {
		t.Errorf("it is %+v, %v", up, err)
	}
	if stat, err := os.Stat(b.region); err != nil || stat.Size() != 1<<20 || stat.Mode().Perm() != 0o600 {
		t.Error("region:", stat, err)
	}
	if wasUp, err := b.folder.Down(context.Background()); !wasUp || err != nil {
		t.Error("down:", wasUp, err)
	}
	b.expectNothing()
	if wasUp, err := b.folder.Down(context.Background()); wasUp || err != nil {
		t.Error("down again:", wasUp, err)
	}
	if _, err := b.folder.Up(); !errors.Is(err, ErrDown) {
		t.Error("it is", err)
	}
}

func TestUpTwiceSaysThatItIsUp(t *testing.T) {
	b := newBench(t, fakeReady)
	first := b.up()
	s, already, err := b.start().Up(context.Background())
	if !already || err != nil || s.QEMU != first.QEMU {
		t.Errorf("%v %v, QEMU %v and %v", already, err, s.QEMU, first.QEMU)
	}
}

func TestQEMUGetsWhatWasAskedFor(t *testing.T) {
	b := newBench(t, fakeReady)
	u := b.start()
	u.Config.CPUs, u.Config.MemoryMiB, u.Config.SSHPort = 3, 777, freePort(t)
	s, _, err := u.Up(context.Background())
	if err != nil || s.SSHPort != u.Config.SSHPort {
		t.Fatal(s.SSHPort, err)
	}
	text, err := os.ReadFile(b.record)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\n3\n", "\n777M\n", "ivshmem-plain", b.region, overlayFile, seedFile, "-:22",
		"format=raw,read-only=on"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func TestPortThatIsTakenIsRefusedBeforeAnythingStarts(t *testing.T) {
	b := newBench(t, fakeReady)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	u := b.start()
	u.Config.SSHPort = l.Addr().(*net.TCPAddr).Port
	if _, _, err := u.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "ssh port") {
		t.Error(err)
	}
	b.expectNothing()
}

func TestAllMissingToolsAreToldAtOnce(t *testing.T) {
	b := newBench(t, fakeReady)
	if err := os.Remove(filepath.Join(b.bin, "genisoimage")); err != nil {
		t.Fatal(err)
	}
	u := b.start()
	u.Tools = []string{"qemu-img", "mmdebstrap"}
	_, _, err := u.Up(context.Background())
	if want := "genisoimage, mmdebstrap missing"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	b.expectNothing()
}

func TestWhatExistsAtTheRegionsPathIsLeftAlone(t *testing.T) {
	for name, make := range map[string]func(string) error{
		"file":   func(p string) error { return os.WriteFile(p, []byte("mine"), 0o600) },
		"folder": func(p string) error { return os.Mkdir(p, 0o700) },
		"link":   func(p string) error { return os.Symlink("/nowhere", p) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, fakeReady)
			if err := make(b.region); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(b.region)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = b.start().Up(context.Background())
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "left alone") {
				t.Error(err)
			}
			after, err := os.Lstat(b.region)
			if err != nil || !os.SameFile(before, after) || before.Size() != after.Size() {
				t.Error("it was changed:", err)
			}
			_ = os.Remove(b.region)
		})
	}
}

// Somebody takes the path between the check and the making.
func TestRegionIsNotMadeOverWhatAppearsLate(t *testing.T) {
	b := newBench(t, fakeReady)
	u := b.start()
	u.Prepare = func(context.Context, *Config) error { return os.WriteFile(b.region, []byte("mine"), 0o600) }
	if _, _, err := u.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Error(err)
	}
	if text, err := os.ReadFile(b.region); err != nil || string(text) != "mine" {
		t.Errorf("it became %q, %v", text, err)
	}
	_ = os.Remove(b.region)
	b.expectNoProcess()
}

// A region that the user replaced while the guest was up is none of ours at its end.
func TestDownLeavesAForeignRegion(t *testing.T) {
	b := newBench(t, fakeReady)
	b.up()
	if err := os.Remove(b.region); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.region, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.folder.Down(context.Background()); err != nil {
		t.Error(err)
	}
	if err := os.Remove(b.region); err != nil {
		t.Error(err)
	}
}

func TestDownLeavesForeignFilesInItsFolder(t *testing.T) {
	b := newBench(t, fakeReady)
	b.up()
	mine := filepath.Join(b.folder.Path, "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.folder.Down(context.Background()); err == nil || !strings.Contains(err.Error(), "not the guest's own") {
		t.Error(err)
	}
	if err := os.Remove(mine); err != nil {
		t.Error(err)
	}
}

func TestGuestThatQEMURefusesLeavesOnlyLogs(t *testing.T) {
	b := newBench(t, fakeRefuses)
	_, _, err := b.start().Up(context.Background())
	if err == nil || !strings.Contains(err.Error(), "no such luck") || !strings.Contains(err.Error(), consoleLog) {
		t.Error(err)
	}
	b.expectNoProcess()
	if logs := b.folder.Logs(); len(logs) != 2 {
		t.Error("logs:", logs)
	}
	t.Setenv(fakeQEMU, fakeReady)
	b.up() // the next one works
}

func TestSilentGuestIsGivenUp(t *testing.T) {
	b := newBench(t, fakeSilent)
	u := b.start()
	u.Config.Ready = 300 * time.Millisecond
	if _, _, err := u.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "not ready within 300ms") {
		t.Error(err)
	}
	b.expectNoProcess()
}

func TestInterruptedUpLeavesNothing(t *testing.T) {
	b := newBench(t, fakeSilent)
	ctx, cancel := context.WithCancel(context.Background())
	u := b.start()
	u.Progress = onStep(func(what string) {
		if strings.HasPrefix(what, "booting") {
			cancel()
		}
	})
	if _, _, err := u.Up(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	b.expectNothing()
}

type onStep func(string)

func (f onStep) Step(what string, _ time.Duration) { f(what) }
func (f onStep) Done(float64)                      {}

func TestKilledUpLeavesNothingRunningAndTheNextOneWorks(t *testing.T) {
	b := newBench(t, fakeSilent)
	cmd, _ := b.process("booting")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	t.Setenv(fakeQEMU, fakeReady)
	b.up() // waits for the keeper of the first
}

func TestKilledKeeperTakesAllWithItAndTheNextUpWorks(t *testing.T) {
	b := newBench(t, fakeReady)
	s := b.up()
	if err := s.Keeper.Kill(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := s.QEMU.Gone(ctx); err != nil {
		t.Error("QEMU:", err)
	}
	if _, err := b.folder.Up(); !errors.Is(err, ErrDown) {
		t.Error("it is", err)
	}
	b.up()
}

func TestKeeperThatIsKilledDuringUpIsAnErrorThatLeavesNothing(t *testing.T) {
	b := newBench(t, fakeSilent)
	cmd, lines := b.process("booting")
	var s State
	waitFor(t, func() bool {
		var err error
		s, err = b.folder.Load()
		return err == nil && s.QEMU.PID != 0
	})
	if err := s.Keeper.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lines.Scan()
	if !strings.Contains(lines.Text(), "without a word") {
		t.Error(lines.Text())
	}
	_ = cmd.Wait()
	b.expectNoProcess()
}

// waitFor looks until something is so: what other processes do to files cannot be waited for.
func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	deadline := time.After(time.Hour)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never came to be")
		}
	}
}

func TestGuestThatPowersItselfOffIsDown(t *testing.T) {
	b := newBench(t, fakeOff)
	s := b.up()
	waitFor(t, func() bool {
		conn, err := net.Dial("unix", b.record+".off")
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := s.Keeper.Gone(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(b.region); !errors.Is(err, fs.ErrNotExist) {
		t.Error("region:", err)
	}
	if wasUp, err := b.folder.Down(context.Background()); wasUp || err != nil {
		t.Error(wasUp, err)
	}
}

func TestOfTwoUpsAtOnceOneWins(t *testing.T) {
	b := newBench(t, fakeReady)
	var both sync.WaitGroup
	errs := make([]error, 2)
	already := make([]bool, 2)
	for i := range errs {
		u := b.start()
		both.Go(func() { _, already[i], errs[i] = u.Up(context.Background()) })
	}
	both.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil && !already[i]:
			won++
		case err != nil && !errors.Is(err, ErrBusy):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d won: %v %v", won, already, errs)
	}
}

func TestGuestWithoutPackagesIsUpWithAWarning(t *testing.T) {
	b := newBench(t, fakePartly)
	u := b.start()
	u.Config.Image.Built = false
	var warned string
	u.Warn = func(text string) { warned = text }
	if _, _, err := u.Up(context.Background()); err != nil || !strings.Contains(warned, "gcc") {
		t.Errorf("%v, warned %q", err, warned)
	}
}

func TestDoorbellServerOfOurOwn(t *testing.T) {
	b := newBench(t, fakeReady)
	u := b.start()
	u.Config.Mode, u.Config.RegionPath, u.Config.DXTool = Doorbell, "", filepath.Join(b.bin, "dx")
	s, _, err := u.Up(context.Background())
	if err != nil || s.Socket != b.folder.file(serverFile) {
		t.Fatal(s.Socket, err)
	}
	text, err := os.ReadFile(b.record)
	if err != nil || !strings.Contains(string(text), "ivshmem-doorbell") || !strings.Contains(string(text), "intel-iommu") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestSocketThatSpeaksNoIvshmemIsRefused(t *testing.T) {
	b := newBench(t, fakeReady)
	u := b.start()
	u.Config.Mode, u.Config.RegionPath, u.Config.Socket = Doorbell, "", b.record+".sock"
	if _, _, err := u.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "ivshmem server") {
		t.Error(err)
	}
	l, err := net.Listen("unix", u.Config.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 400"))
		}
	}()
	if _, _, err := u.Up(context.Background()); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Error(err)
	}
	b.expectNoProcess()
}
