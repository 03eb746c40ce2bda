// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dx/vm/debian"
	"dx/vm/lifecycle"
	"dx/vm/machine"
)

const upText = `
vm up [flags]

Brings a Debian 12 guest up: makes an overlay of the disk, a key, and the region, starts QEMU, and
returns when the guest has said that one can log in. It goes on in the background until vm down, or
until it powers itself off. If it is up already, that is said, and nothing is done.

`

// request is what the flags of up say.
type request struct {
	config  lifecycle.Config
	image   string
	mirrors []string
}

// parseUp reads the flags of up and checks all that can be told from them.
func parseUp(args []string) (request, error) {
	var r request
	c := &r.config
	memory, disk, region := size(1<<30), size(8<<30), size(16<<20)
	var pin cpuList
	var mirrors string
	fs, name := flags("up", upText)
	fs.StringVar(&r.image, "image", "", "cloud image to boot, a `FILE or URL` (qcow2, raw; never written to); empty: build one")
	fs.StringVar(&mirrors, "mirror", "", "where to build from: a `URL` of a Debian mirror or a file like /etc/apt/sources.list; empty: Debian's own")
	fs.IntVar(&c.CPUs, "cpus", 2, "`number` of virtual CPUs, 1 to 64")
	fs.Var(&memory, "memory", "the guest's memory in `bytes`, with K, M, G; at least 256M")
	fs.Var(&disk, "disk", "the guest's disk in `bytes`; what is written to it ends with the guest")
	fs.Var(&region, "region", "shared memory in `bytes`, a power of two from 4K to 64G")
	fs.StringVar(&c.RegionPath, "region-file", "", "plain mode: `file` to make for it, in a tmpfs (default /dev/shm/dx-vm-NAME)")
	fs.StringVar(&c.Mode, "mode", lifecycle.Plain, "`plain`: a shared file, waiting is polling; doorbell: memory from a socket, with interrupts")
	fs.StringVar(&c.Socket, "socket", "", "doorbell mode: `socket` of a server that runs; empty: start one (dx rendezvous)")
	fs.IntVar(&c.Vectors, "vectors", 1, "doorbell mode: interrupts of each peer, 1 to 4, `as many` as the server gives")
	fs.StringVar(&c.DXTool, "dx", "", "doorbell mode: the dx `program` (default: the one beside vm, or in PATH)")
	fs.Var(&pin, "pin", "host `CPUs` that the guest may use, such as 0,2-3; empty: all")
	fs.IntVar(&c.SSHPort, "port", 0, "of ssh, on 127.0.0.1; `0`: one that is free")
	fs.DurationVar(&c.Ready, "timeout", 5*time.Minute, "how long the guest may take until it is ready; `a minute` is plenty for a built disk")
	if err := parse(fs, args); err != nil {
		return r, err
	}
	if fs.NArg() > 0 {
		return r, usageError{fmt.Errorf("up takes no %q", fs.Arg(0))}
	}
	c.Name, c.MemoryMiB, c.DiskBytes, c.RegionBytes, c.Pin = *name, int(memory>>20), int64(disk), int64(region), pin
	if mirrors != "" {
		r.mirrors = strings.Fields(mirrors)
	}
	return r, r.complete(fs)
}

// complete gives the paths that depend on other flags, absolute for the keeper, and checks.
func (r *request) complete(fs *flag.FlagSet) error {
	c := &r.config
	if c.Mode == lifecycle.Plain && c.RegionPath == "" {
		c.RegionPath = "/dev/shm/dx-vm-" + c.Name
	}
	if c.Mode == lifecycle.Doorbell && c.Socket == "" && c.DXTool == "" {
		c.DXTool = findTool()
	}
	for _, path := range []*string{&c.RegionPath, &c.Socket, &c.DXTool} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return usageError{err}
		}
		*path = absolute
	}
	if err := c.Check(); err != nil {
		return usageError{err}
	}
	isSet := false
	fs.Visit(func(f *flag.Flag) { isSet = isSet || f.Name == "region" })
	if isSet && c.Socket != "" {
		return usageError{errors.New("-region with -socket: the server has the memory, and says how large it is")}
	}
	if r.image != "" && r.mirrors != nil {
		return usageError{errors.New("-mirror is for building, which -image does instead")}
	}
	return nil
}

// findTool returns the dx program beside us, or in PATH, or nothing.
func findTool() string {
	if self, err := os.Executable(); err == nil {
		if tool, err := exec.LookPath(filepath.Join(filepath.Dir(self), "dx")); err == nil {
			return tool
		}
	}
	tool, err := exec.LookPath("dx")
	if err != nil {
		return ""
	}
	return tool
}

func up(ctx context.Context, args []string) error {
	r, err := parseUp(args)
	if err != nil {
		return err
	}
	f, err := folder(r.config.Name)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p := newProgress()
	defer p.Close()
	tools, err := r.tools()
	if err != nil {
		return err
	}
	start := lifecycle.Start{Folder: f, Tools: tools, Config: r.config, Keeper: exec.Command(self, keeperVerb), Progress: p, Warn: p.Note,
		Prepare: func(ctx context.Context, c *lifecycle.Config) error { return r.prepare(ctx, c, p) }}
	s, already, err := start.Up(ctx)
	p.Close()
	if err != nil {
		return err
	}
	if already {
		fmt.Printf("%s is up already, as it was started then:\n", s.Config.Name)
	}
	fmt.Print(describe(f, s))
	return nil
}

// tools returns what prepare will use.
func (r request) tools() ([]string, error) {
	if r.image != "" {
		return nil, nil
	}
	cache, err := debian.CacheFolder()
	if err != nil {
		return nil, err
	}
	return debian.ToolsToBuild(cache, r.mirrors), nil
}

// prepare finds or makes the image, and chooses the accelerator.
func (r request) prepare(ctx context.Context, c *lifecycle.Config, p *progress) error {
	cache, err := debian.CacheFolder()
	if err != nil {
		return err
	}
	if r.image == "" {
		c.Image, err = debian.Build(ctx, cache, r.mirrors, p)
	} else {
		c.Image, err = debian.Given(ctx, cache, r.image, p)
	}
	if err != nil {
		return err
	}
	c.Accel, c.Why, err = accelerator(ctx, p)
	if err == nil {
		p.Note(accelText(c.Accel, c.Why))
	}
	return err
}

func accelText(a machine.Accel, why string) string {
	text := "accelerator " + string(a)
	if a == machine.TCG {
		text = "accelerator tcg, which translates the guest's code"
	}
	return text + " (" + why + ")"
}
