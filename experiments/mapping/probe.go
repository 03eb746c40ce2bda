// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/peer"
	"dx/libdx/tools/mapping"
	"dx/vm/machine"
)

// probeRole measures one mapping: on the host, and in a guest.
var probeRole = peer.Of("mapping", func(o order) error { return probe(o, json.NewEncoder(os.Stdout)) })

// order is what such a process is to do.
type order struct {
	Source   source `json:"source"`
	Sizes    []int  `json:"sizes"`
	Runs     int    `json:"runs"`
	TargetNs int64  `json:"target_ns"`
}

// answer is what it prints: one line of JSON.
type answer struct {
	// Unavailable says why there is no such mapping; then the rest is empty.
	Unavailable string        `json:"unavailable,omitempty"`
	Kind        string        `json:"kind,omitempty"`
	Times       mapping.Times `json:"times"`
	// KernelSays is how the kernel lists the mapping, where it tells: such as "uncached-minus".
	KernelSays string   `json:"kernel_says,omitempty"`
	Figures    []figure `json:"-"`
}

// figure is what one loop over so many bytes took.
type figure struct {
	mapping.Loop
	Bytes  int     `json:"bytes"`
	Passes int     `json:"passes"`  // of each run
	RunsNs []int64 `json:"runs_ns"` // in the order they were made
}

// probe prints an answer, and then its figures.
func probe(o order, out *json.Encoder) error {
	size := 0
	for _, n := range o.Sizes {
		size = max(size, n)
	}
	mapped, address, err := o.Source.open(size)
	if err != nil {
		return out.Encode(answer{Unavailable: err.Error()})
	}
	var a answer
	a.Times, a.Kind = mapping.KindOf(mapped)
	a.KernelSays = memoryType(address)
	if err := out.Encode(a); err != nil {
		return err
	}
	private, err := anonymous(size)
	if err != nil {
		return err
	}
	for i := 0; i < size; i += mapping.LineBytes {
		mapped[i], private[i] = 1, 1 // no page fault inside a timer
	}
	for _, n := range o.Sizes {
		for _, f := range o.time(mapped[:n], private) {
			if err := out.Encode(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// time runs all loops in turn, run by run, so that a drift of the machine meets all alike.
func (o order) time(mapped, private []byte) []figure {
	var all []figure
	for _, l := range mapping.Loops() {
		one := max(1, l.Time(mapped, private, 1))
		passes := min(max(1, o.TargetNs/one), 1<<20)
		all = append(all, figure{Loop: l, Bytes: len(mapped), Passes: int(passes)})
	}
	for range o.Runs {
		for i := range all {
			ns := all[i].Time(mapped, private, all[i].Passes)
			all[i].RunsNs = append(all[i].RunsNs, ns)
		}
	}
	return all
}

// source is what is mapped.
type source string

const (
	private    source = "private memory"
	shared     source = "shared memory"
	resource   source = "resource2"
	resourceWC source = "resource2_wc"
	physical   source = "/dev/mem"
)

// open maps so many bytes for reading and writing. The address is the physical one of a BAR, else 0.
func (s source) open(size int) (mapped []byte, address int64, err error) {
	switch s {
	case private:
		mapped, err = anonymous(size)
		return mapped, 0, err
	case shared:
		fd, err := unix.MemfdCreate("mapping", unix.MFD_CLOEXEC)
		if err != nil {
			return nil, 0, os.NewSyscallError("memfd_create", err)
		}
		f := os.NewFile(uintptr(fd), "memfd")
		defer func() { _ = f.Close() }()
		if err := f.Truncate(int64(size)); err != nil {
			return nil, 0, err
		}
		mapped, err = mapFile(f, 0, size)
		return mapped, 0, err
	}
	device, address, err := findBAR(size)
	if err != nil {
		return nil, 0, err
	}
	path, offset := filepath.Join(device, string(s)), int64(0)
	if s == physical {
		path, offset = string(physical), address
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	mapped, err = mapFile(f, offset, size)
	return mapped, address, err
}

func anonymous(size int) ([]byte, error) {
	mapped, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return mapped, os.NewSyscallError("mmap", err)
}

func mapFile(f *os.File, offset int64, size int) ([]byte, error) {
	mapped, err := unix.Mmap(int(f.Fd()), offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", f.Name(), err)
	}
	return mapped, nil
}

// findBAR returns the sysfs folder of the ivshmem device and the physical address of its memory.
func findBAR(size int) (folder string, address int64, err error) {
	if folder, err = machine.FindDevice(); err != nil {
		return "", 0, err
	}
	lines := strings.Split(machine.Attribute(folder, "resource"), "\n")
	if len(lines) < 3 {
		return "", 0, errors.New("an ivshmem device without BAR 2")
	}
	var first, last int64
	if _, err := fmt.Sscanf(lines[2], "%v %v", &first, &last); err != nil {
		return "", 0, fmt.Errorf("BAR 2 of %s: %w", folder, err)
	}
	if last-first+1 < int64(size) {
		return "", 0, fmt.Errorf("BAR 2 of %s has %d bytes, %d are wanted", folder, last-first+1, size)
	}
	return folder, first, nil
}

// memoryType asks the kernel what it has made of a mapping of that physical address; empty if it
// does not tell. Only root of a guest of ours gets here with an address, so that mounting is fine.
func memoryType(address int64) string {
	if address == 0 {
		return ""
	}
	folder, err := os.MkdirTemp("", "debugfs-")
	if err != nil {
		return ""
	}
	defer func() { _ = os.Remove(folder) }()
	if unix.Mount("debugfs", folder, "debugfs", 0, "") != nil {
		return ""
	}
	defer func() { _ = unix.Unmount(folder, 0) }()
	return typeIn(machine.Attribute(folder, "x86/pat_memtype_list"), address)
}

// typeIn reads lines such as "PAT: [mem 0x00000000f8000000-0x00000000f9000000] write-combining".
func typeIn(list string, address int64) string {
	for line := range strings.Lines(list) {
		_, span, found := strings.Cut(line, "[mem 0x")
		bounds, kind, closed := strings.Cut(span, "]")
		first, _, _ := strings.Cut(bounds, "-")
		at, err := strconv.ParseInt(first, 16, 64)
		if found && closed && err == nil && at == address {
			return strings.TrimSpace(kind)
		}
	}
	return ""
}
