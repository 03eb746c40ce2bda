// SPDX-License-Identifier: Apache-2.0

// Package guest runs the command dx, linked statically, inside a virtual machine and across its
// boundary.
package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dx/go/dx"
	"dx/vm/machine"
	"dx/vm/quick"
)

const (
	patience = time.Hour
	bytesMiB = 4
	inGuest  = "/bin/dx"
)

func TestMain(m *testing.M) {
	quick.Init()
	var err error
	if toolFolder, err = os.MkdirTemp("", "dx-guest-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(toolFolder)
	os.Exit(code)
}

// build links sources of libdx and those of one program into a static one.
func build(t *testing.T, name string, programs ...string) string {
	t.Helper()
	top, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	include := t.TempDir()
	if err := os.Symlink(filepath.Join(top, "libdx"), filepath.Join(include, "dx")); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), name)
	args := []string{"-static", "-O1", "-std=c11", "-D_GNU_SOURCE", "-I" + include, "-o", program}
	for _, pattern := range append(programs, "libdx/*.c") {
		files, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		args = append(args, files...)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if text, err := exec.Command(cc, append(args, "-lpthread")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return program
}

var toolFolder string

// tool is the command dx, built once.
func tool(t *testing.T) string {
	t.Helper()
	path := filepath.Join(toolFolder, "dx")
	if _, err := os.Stat(path); err != nil {
		built := build(t, "dx", "libdx/tools/*.c", "libdx/tools/mapping/*.c")
		if err := os.Rename(built, path); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// boot starts a guest with a region of its own and these programs.
func boot(t *testing.T, programs map[string]string) (*quick.Guest, machine.Region) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	folder, err := os.MkdirTemp("/dev/shm", "dx-test-guest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	region, err := machine.CreateRegion(filepath.Join(folder, "region"), bytesMiB<<20)
	if err != nil {
		t.Fatal(err)
	}
	g, err := quick.Boot(ctx, quick.Config{Accel: machine.TCG, Region: region, Programs: programs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Kill)
	return g, region
}

// says runs a command in the guest to its end, and returns its standard output and how it ended.
func says(t *testing.T, g *quick.Guest, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	c, err := g.Start(args, nil, &out, &errs)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Ended():
	case <-time.After(patience):
		t.Fatalf("%v does not end; it said %s%s", args, &out, &errs)
	}
	if errs.Len() > 0 {
		t.Logf("%v: %s", args, &errs)
	}
	return out.String(), c.Wait()
}

type report struct {
	Problems int `json:"problems"`
	Findings map[string]struct {
		Level, Found string
		Advice       *string
	} `json:"findings"`
}

func TestDoctorInTheGuest(t *testing.T) {
	g, _ := boot(t, map[string]string{inGuest: tool(t)})
	text, err := says(t, g, inGuest, "doctor", "-json")
	if err != nil {
		t.Error(err)
	}
	var r report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if r.Problems != 0 {
		t.Errorf("%d problems", r.Problems)
	}
	for check, want := range map[string][2]string{
		"ivshmem":    {"ok", "BAR 2 (the memory) 4 MiB"},
		"mapping":    {"ok", "resource2_wc is cached (write-back)"},
		"hypervisor": {"warning", "QEMU's TCG"},
		"cpus":       {"ok", "2 usable"},
		"iommu":      {"ok", "none"},
		"kvm":        {"ok", "no /dev/kvm in this guest"},
		"user":       {"ok", "root"},
	} {
		if f := r.Findings[check]; f.Level != want[0] || !strings.Contains(f.Found, want[1]) {
			t.Errorf("%s: %+v, want %v", check, f, want)
		}
	}
	t.Log(text)
}

// states are those of the host and the guest in what dx info printed.
func states(t *testing.T, text []byte, err error) string {
	t.Helper()
	var r struct {
		Peers map[string]struct{ State string } `json:"peers"`
	}
	if err != nil || json.Unmarshal(text, &r) != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r.Peers["host"].State + ", " + r.Peers["guest"].State
}

// Each side of the boundary sees with dx info whether the other one lives, dead ones included.
func TestInfoAcrossTheBoundary(t *testing.T) {
	serve := build(t, "guest", "libdx/examples/guest.c")
	g, region := boot(t, map[string]string{inGuest: tool(t), "/bin/serve": serve})
	url := "file:" + region.Path
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	host, err := dx.Create(url, dx.Config{Slots: 1, RequestBytes: 32, ResponseBytes: 32})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	listed := func(want string) {
		t.Helper()
		if said, err := says(t, g, inGuest, "ls", "ivshmem:"); err != nil || !strings.Contains(said, "\n"+want+" ") {
			t.Errorf("dx ls in the guest: %v, want %s in\n%s", err, want, said)
		}
	}
	seen := func(want string) {
		t.Helper()
		text, err := exec.Command(tool(t), "info", "-json", url).Output()
		if got := states(t, text, err); got != want {
			t.Errorf("seen from the host: %s, want %s", got, want)
		}
		said, err := says(t, g, inGuest, "info", "-json", "ivshmem:plain")
		if got := states(t, []byte(said), err); got != want {
			t.Errorf("seen from the guest: %s, want %s", got, want)
		}
	}
	seen("open, none")
	listed("alive")
	server, err := g.Start([]string{"/bin/serve", "ivshmem:plain"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 32)
	if r, err := host.Call(ctx, dx.TypeUser, []byte{12, 0, 0, 0}, reply); err != nil || string(r.Data) != "144" {
		t.Fatalf("%v: %q", err, r.Data)
	}
	seen("open, open")
	if err := server.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-server.Ended()
	seen("open, dead")
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	seen("closed, dead")
	listed("idle")
}
