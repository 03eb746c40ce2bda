// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/vm/debian"
	"dx/vm/machine"
)

// The tests run with programs that only look like the real ones: this test binary under their
// names, in a folder that is all of PATH. What they do is told by FAKE_QEMU.
const (
	fakeQEMU    = "FAKE_QEMU"
	fakeRecord  = "FAKE_RECORD" // a file: what QEMU was called with
	fakeReady   = "ready"       // says that it is ready, and runs
	fakeSilent  = "silent"      // runs, and says nothing
	fakeRefuses = "refuses"     // ends with an error
	fakePartly  = "partly"      // is ready without its packages
	fakeOff     = "off"         // is ready, and powers itself off when asked by a connection
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "qemu-system-x86_64":
		qemuMain()
	case "qemu-img", "genisoimage", "ssh-keygen":
		makeFiles()
	case "ssh":
		sshMain()
	case "dx":
		serverMain()
	case "keeper":
		os.Exit(Keep())
	case "up":
		upMain()
	default:
		os.Exit(m.Run())
	}
}

func valueAfter(name string) string {
	if i := slices.Index(os.Args, name); i >= 0 && i+1 < len(os.Args) {
		return os.Args[i+1]
	}
	return ""
}

func qemuMain() {
	if path := os.Getenv(fakeRecord); path != "" {
		_ = os.WriteFile(path, []byte(strings.Join(os.Args, "\n")), 0o600)
	}
	line := os.NewFile(4, "signal")
	switch os.Getenv(fakeQEMU) {
	case fakeRefuses:
		fmt.Fprintln(os.Stderr, "qemu: no such luck")
		os.Exit(1)
	case fakeReady:
		fmt.Fprintf(line, "noise\r\n%s\r\n", debian.Ready)
	case fakePartly:
		fmt.Fprintln(line, debian.Incomplete)
	case fakeOff:
		fmt.Fprintln(line, debian.Ready)
		l, err := net.Listen("unix", os.Getenv(fakeRecord)+".off")
		if err == nil {
			_, _ = l.Accept()
		}
		os.Exit(0)
	}
	_, _ = line.Read(make([]byte, 1)) // until the keeper ends, or kills us
	select {}
}

func makeFiles() {
	for i, arg := range os.Args {
		if i > 0 && filepath.IsAbs(arg) && os.Args[i-1] != "-b" && !isFolder(arg) {
			_ = os.WriteFile(arg, []byte("made\n"), 0o600)
			_ = os.WriteFile(arg+".pub", []byte("ssh-ed25519 AAAA\n"), 0o600)
			if filepath.Base(os.Args[0]) != "ssh-keygen" {
				_ = os.Remove(arg + ".pub")
			}
		}
	}
	os.Exit(0)
}

func isFolder(path string) bool {
	s, err := os.Stat(path)
	return err == nil && s.IsDir()
}

// sshMain logs in, and stays until it is killed.
func sshMain() {
	fmt.Println("in")
	if slices.Contains(os.Args, "-N") {
		select {}
	}
	os.Exit(0)
}

// serverMain is dx rendezvous.
func serverMain() {
	l, err := net.Listen("unix", os.Args[len(os.Args)-1])
	if err != nil {
		os.Exit(1)
	}
	fmt.Println("ready")
	for {
		if _, err := l.Accept(); err != nil {
			os.Exit(1)
		}
	}
}

// upMain is an `up` that can be killed; it says how it ended.
func upMain() {
	u := newStart(os.Args[1], os.Args[2], os.Args[0])
	s, _, err := u.Up(context.Background())
	fmt.Println("up:", s.Phase, err)
	os.Exit(0)
}

// steps reports each step as a line.
type steps struct{ out *os.File }

func (s steps) Step(what string, _ time.Duration) { fmt.Fprintln(s.out, what) }
func (s steps) Done(float64)                      {}

func newStart(folder, region, self string) Start {
	c := Config{Name: "test", CPUs: 2, MemoryMiB: 512, DiskBytes: 1 << 30, Mode: Plain, RegionBytes: 1 << 20,
		RegionPath: region, Vectors: 1, Ready: time.Minute, Accel: machine.TCG, Why: "a test",
		Image: debian.Image{Disk: "/dev/null", Format: "raw", Built: true}}
	return Start{Folder: Folder{folder}, Config: c, Progress: steps{os.Stdout}, Warn: func(string) {},
		Keeper:  exec.Command(filepath.Join(filepath.Dir(self), "keeper")),
		Prepare: func(context.Context, *Config) error { return nil }}
}

// bench is one guest of fakes, with a folder of its own.
type bench struct {
	t      *testing.T
	bin    string
	folder Folder
	region string
	record string
}

func newBench(t *testing.T, qemu string) *bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "dxvm") // short, for the sockets in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b := &bench{t: t, bin: filepath.Join(dir, "bin"), folder: Folder{filepath.Join(dir, "s", "vm-test")},
		region: filepath.Join(dir, "region"), record: filepath.Join(dir, "record")}
	if err := os.Mkdir(b.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"qemu-system-x86_64", "qemu-img", "genisoimage", "ssh-keygen", "ssh", "dx", "keeper", "up"} {
		if err := os.Symlink(self, filepath.Join(b.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", b.bin)
	t.Setenv(fakeQEMU, qemu)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // each of the fakes would end a second later
	t.Setenv(fakeRecord, b.record)
	t.Cleanup(func() {
		if _, err := b.folder.Down(context.Background()); err != nil {
			t.Error("down:", err)
		}
		b.expectNothing()
	})
	return b
}

func (b *bench) start() Start {
	s := newStart(b.folder.Path, b.region, filepath.Join(b.bin, "up"))
	s.Progress = steps{os.Stderr}
	return s
}

// up brings the guest up, which must succeed.
func (b *bench) up() State {
	b.t.Helper()
	s, already, err := b.start().Up(context.Background())
	if err != nil || already {
		b.t.Fatal("up:", already, err)
	}
	return s
}

// expectNothing fails if anything of the guest is there.
func (b *bench) expectNothing() {
	b.t.Helper()
	for _, path := range []string{b.folder.Path, b.folder.Path + ".lock", b.region} {
		if _, err := os.Lstat(path); err == nil {
			b.t.Errorf("%s is left", path)
		}
	}
	left, err := filepath.Glob(b.region + "*")
	if err != nil || len(left) > 0 {
		b.t.Error("left:", left, err)
	}
	b.expectNoProcess()
}

// expectNoProcess fails if a fake runs: each has the folder of this bench in its command line, or
// lies in it.
func (b *bench) expectNoProcess() {
	b.t.Helper()
	deadline := time.Now().Add(time.Hour)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		running := b.processes()
		if len(running) == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatal("still there:", running)
		}
		<-tick.C
	}
}

func (b *bench) processes() (found []string) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		words := strings.ReplaceAll(string(text), "\x00", " ")
		if err == nil && strings.Contains(words, filepath.Dir(b.bin)) {
			found = append(found, strings.Fields(words)[0])
		}
	}
	return found
}

// process starts an `up` in a process of its own and returns when it says the step.
func (b *bench) process(step string) (*exec.Cmd, *bufio.Scanner) {
	b.t.Helper()
	cmd := exec.Command(filepath.Join(b.bin, "up"), b.folder.Path, b.region)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), step) {
			return cmd, lines
		}
	}
	b.t.Fatalf("up never said %q", step)
	return nil, nil
}
