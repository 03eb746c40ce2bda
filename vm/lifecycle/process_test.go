// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProcessWhoseNumberWasReusedIsNeverTouched(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := identify(cmd.Process.Pid)
	if err != nil || !p.Running() {
		t.Fatal(p, err)
	}
	for _, other := range []Process{{p.PID, p.Start - 1, p.Boot}, {p.PID, p.Start, "another boot"}, {}} {
		if other.Running() {
			t.Errorf("%+v is taken for %+v", other, p)
		}
		if err := other.Kill(context.Background()); err != nil {
			t.Errorf("%+v: %v", other, err)
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error("it was killed:", err)
	}
	if p.Running() {
		t.Error("it has ended, and counts as running")
	}
}

func TestProcessThatIsKilledIsGone(t *testing.T) {
	cmd := exec.Command("cat")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := p.Gone(ctx); err == nil {
		t.Error("it has not gone")
	}
	if err := p.Kill(context.Background()); err != nil || p.Running() {
		t.Error(p.Running(), err) // dead, though nobody has waited for it
	}
	_ = cmd.Wait()
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestNamesAndPaths(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	if f, err := FolderOf("a-1"); err != nil || f.Path != "/state/dx/vm-a-1" {
		t.Error(f, err)
	}
	for _, name := range []string{"", "-a", "../a", "A", "a b", strings.Repeat("a", 32)} {
		if f, err := FolderOf(name); err == nil {
			t.Errorf("%q became %v", name, f)
		}
	}
	t.Setenv("XDG_STATE_HOME", "/"+strings.Repeat("s", 80))
	if f, err := FolderOf("a"); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Error(f, err)
	}
	t.Setenv("XDG_STATE_HOME", `/a"b`)
	if f, err := FolderOf("a"); err == nil {
		t.Error(f)
	}
}

func TestConfigThatIsWrong(t *testing.T) {
	good := newStart("/f", "/r", "/self").Config
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"power of two": func(c *Config) { c.RegionBytes = 24 << 20 }, "CPUs": func(c *Config) { c.CPUs = 0 },
		"MiB": func(c *Config) { c.MemoryMiB = 100 }, "mode": func(c *Config) { c.Mode = "bell" },
		"socket is of": func(c *Config) { c.Socket = "/s" }, "region file": func(c *Config) { c.Mode = Doorbell },
		"vectors": func(c *Config) { c.Vectors = 9 }, "port": func(c *Config) { c.SSHPort = 70000 },
		"name": func(c *Config) { c.Name = "?" }, "time": func(c *Config) { c.Ready = 0 },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestRegionThatDoesNotFitIsFoundBefore(t *testing.T) {
	if err := checkSpace(os.TempDir(), 1<<60); err == nil || !strings.Contains(err.Error(), "free") {
		t.Error(err)
	}
}

func TestWordsArriveAsTheyAre(t *testing.T) {
	words := []string{"a b", `it's`, "$HOME", `"`, "", "\n;", `\`}
	out, err := exec.Command("sh", "-c", "printf '%s|' "+Quote(words)).Output()
	if want := strings.Join(words, "|") + "|"; err != nil || string(out) != want {
		t.Errorf("%q, not %q: %v", out, want, err)
	}
}
