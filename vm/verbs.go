// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"dx/vm/lifecycle"
)

func down(ctx context.Context, args []string) error {
	fs, name := flags("down", `
vm down [-name N]

Takes the guest down as pulling the plug does. Its processes, its region, its overlay and its keys
are gone then, and with them whatever was written in the guest; the image stays in the cache.

`)
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("down takes no %q", fs.Arg(0))}
	}
	f, err := folder(*name)
	if err != nil {
		return err
	}
	wasUp, err := f.Down(ctx)
	if err != nil {
		return err
	}
	if wasUp {
		fmt.Printf("%s is down now\n", *name)
	} else {
		fmt.Printf("%s is down\n", *name)
	}
	return nil
}

func ssh(_ context.Context, args []string) error {
	fs, name := flags("ssh", `
vm ssh [-name N] [COMMAND...]

Opens a shell in the guest, as user dx who may use sudo without a password, or gives a command to
the guest's shell and returns its exit code. Other tools of ssh reach it with the file that status
names: scp -F FILE x guest:

`)
	if err := parse(fs, args); err != nil {
		return err
	}
	f, _, err := guestThatIsUp(*name)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("ssh")
	if err != nil {
		return err
	}
	// ssh takes our place, so that signals, the terminal and the exit code are its own affair.
	return syscall.Exec(path, f.SSHArgs(fs.Args()...), os.Environ())
}

func guestThatIsUp(name string) (lifecycle.Folder, lifecycle.State, error) {
	f, err := folder(name)
	if err != nil {
		return f, lifecycle.State{}, err
	}
	s, err := f.Up()
	if errors.Is(err, lifecycle.ErrDown) {
		err = fmt.Errorf("%s %w; vm up brings it up", name, err)
	}
	return f, s, err
}

func run(ctx context.Context, args []string) error {
	fs, name := flags("run", `
vm run [-name N] [-root] PROGRAM [ARG...]

Copies a program of this machine into the guest and runs it there: standard input and output are
passed on, and so is the exit code (128 and the signal's number if one ended it). The program must
be static, or linked against what Debian 12 has. The copy is removed at the end.

`)
	root := fs.Bool("root", false, "run it as root: for vfio and other devices; the region itself is the user's, too")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return usageError{errors.New("run needs a program")}
	}
	f, _, err := guestThatIsUp(*name)
	if err != nil {
		return err
	}
	p := newProgress()
	told := false
	tty := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	code, err := lifecycle.Run{Folder: f, Program: fs.Arg(0), Args: fs.Args()[1:], Root: *root, TTY: tty,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Copied: func(done, total int64) {
			if !told && total > 4<<20 { // what is smaller takes less than two seconds
				told = true
				p.Step("copying "+fs.Arg(0), 0)
			}
			p.Done(float64(done) / float64(total))
			if done == total {
				p.Close()
			}
		}}.Do(ctx)
	p.Close()
	if err != nil {
		return err
	}
	return codeOf(code)
}

func codeOf(code int) error {
	if code == 0 {
		return nil
	}
	return codeError(code)
}

// stateText is what status prints as JSON.
type stateText struct {
	Name      string   `json:"name"`
	State     string   `json:"state"` // up, starting, down
	Accel     string   `json:"accelerator,omitempty"`
	Why       string   `json:"accelerator_why,omitempty"`
	QEMU      int      `json:"qemu_pid,omitempty"`
	Keeper    int      `json:"keeper_pid,omitempty"`
	SSHPort   int      `json:"ssh_port,omitempty"`
	SSHConfig string   `json:"ssh_config,omitempty"`
	Mode      string   `json:"mode,omitempty"`
	Bytes     int64    `json:"region_bytes,omitempty"` // absent if a server of the user's has the memory
	HostURL   string   `json:"host_url,omitempty"`     // where a program here finds the region
	CPUs      int      `json:"cpus,omitempty"`
	MemoryMiB int      `json:"memory_mib,omitempty"`
	Pin       []int    `json:"pin,omitempty"`
	Image     string   `json:"image,omitempty"`
	ReadyS    float64  `json:"ready_after_s,omitempty"`
	UptimeS   float64  `json:"uptime_s,omitempty"`
	Logs      []string `json:"logs,omitempty"`
}

func textOf(name string, f lifecycle.Folder, s lifecycle.State, now time.Time) stateText {
	c := s.Config
	t := stateText{Name: name, State: f.Condition(s), Logs: f.Logs()}
	if t.State == "down" {
		return t
	}
	t.Accel, t.Why, t.QEMU, t.Keeper = string(c.Accel), c.Why, s.QEMU.PID, s.Keeper.PID
	t.SSHPort, t.SSHConfig, t.Mode, t.CPUs, t.MemoryMiB = s.SSHPort, f.SSHConfig(), c.Mode, c.CPUs, c.MemoryMiB
	t.Pin, t.Image, t.HostURL = c.Pin, c.Image.Disk, s.HostURL()
	if c.Socket == "" {
		t.Bytes = c.RegionBytes
	}
	if t.State == "up" {
		t.ReadyS, t.UptimeS = s.ReadyAfter, s.Uptime(now).Seconds()
	}
	return t
}

func status(_ context.Context, args []string) error {
	fs, name := flags("status", `
vm status [-name N] [-json]

Says whether the guest is up, and what it is. Exit code 0 if it is up, 3 if not.

`)
	asJSON := fs.Bool("json", false, "as one JSON object")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("status takes no %q", fs.Arg(0))}
	}
	f, err := folder(*name)
	if err != nil {
		return err
	}
	s, err := f.Up()
	if err != nil && !errors.Is(err, lifecycle.ErrDown) {
		return err
	}
	t := textOf(*name, f, s, time.Now())
	switch {
	case *asJSON:
		text, err := json.MarshalIndent(t, "", "  ")
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	case t.State == "up":
		fmt.Print(describe(f, s))
	default:
		fmt.Printf("%s is %s\n", *name, t.State)
		if len(t.Logs) > 0 {
			fmt.Printf("  the last start's logs: %s\n", strings.Join(t.Logs, ", "))
		}
	}
	if t.State != "up" {
		return codeError(exitDown)
	}
	return nil
}

// describe says what a guest that is up is, and what to do with it.
func describe(f lifecycle.Folder, s lifecycle.State) string {
	c := s.Config
	t := textOf(c.Name, f, s, time.Now())
	cpus := fmt.Sprintf("%d CPUs", c.CPUs)
	if c.CPUs == 1 {
		cpus = "1 CPU"
	}
	if len(c.Pin) > 0 {
		l := cpuList(c.Pin)
		cpus += " pinned to " + l.String()
	}
	memory, region := size(int64(c.MemoryMiB)<<20), size(t.Bytes)
	bytes := region.String()
	if t.Bytes == 0 {
		bytes = "as large as the server says"
	}
	flag := ""
	if c.Name != "dx" {
		flag = " -name " + c.Name
	}
	return fmt.Sprintf(`%s is up: %s, %s memory, ready after %.1f s; QEMU is process %d
  %s
  region  %s, %s, %s; in the guest: PCI device 1af4:1110
  log in  vm ssh%s  or  ssh -F %s guest
  end     vm down%s
`, c.Name, cpus, memory.String(), s.ReadyAfter, s.QEMU.PID, accelText(c.Accel, c.Why),
		c.Mode, bytes, t.HostURL, flag, t.SSHConfig, flag)
}
