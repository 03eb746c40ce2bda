// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"dx/vm/machine"
)

// Config is what a guest consists of. The zero value is a guest without a region.
type Config struct {
	Arch      machine.Arch  // empty: machine.HostArch
	Accel     machine.Accel // empty: Accelerator chooses
	CPUs      int           // 0: 2
	MemoryMiB int           // 0: 384
	Region    machine.Region
	Pin       []int // host CPUs of QEMU's threads; empty: any
	// Program is what becomes the guest's init and its file Self: an executable that calls Init first
	// thing in main. Empty: this program, which only a guest of this machine's architecture can be.
	Program string
	// Programs are further executables: the guest's path of each, and the host's. Those of another
	// architecture than this machine's must be linked statically.
	Programs map[string]string
	// Modules of the kernel to load, in this order; what they depend on is found.
	Modules   []string
	IOMMU     bool
	Network   bool      // a virtio network card; needs the module virtio_net
	KernelArg string    // added to the kernel's command line
	Console   io.Writer // also gets what the kernel says
	Extra     []string  // of QEMU's command line
	// Say is told of what takes seconds; may be nil.
	Say func(string)
}

// Guest is a booted guest. Its methods may be called from any goroutine.
type Guest struct {
	*machine.Machine
	Accel  machine.Accel
	Kernel Kernel
	// BootTime went by from the start of QEMU until the guest's init said that it is ready.
	BootTime time.Duration

	mu       sync.Mutex
	commands map[int]*Command
	lastID   int
	gone     bool
}

// Boot starts a guest and returns when its init takes orders.
func Boot(ctx context.Context, c Config) (*Guest, error) {
	g, err := boot(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("quick guest: %w", err)
	}
	return g, nil
}

func boot(ctx context.Context, c Config) (g *Guest, err error) {
	if c.Arch == "" {
		c.Arch = machine.HostArch()
	}
	if c.Accel == "" && c.Arch != machine.HostArch() {
		c.Accel = machine.TCG
	}
	g = &Guest{Accel: c.Accel, commands: map[int]*Command{}}
	if g.Accel == "" {
		if g.Accel, _, err = Accelerator(ctx, c.Say); err != nil {
			return nil, err
		}
	}
	if g.Kernel, err = FindKernel(ctx, c.Arch, c.Say); err != nil {
		return nil, err
	}
	initramfs, err := c.initramfs(g.Kernel)
	if err != nil {
		return nil, err
	}
	defer func() { _ = initramfs.Close() }()
	if c.MemoryMiB == 0 {
		c.MemoryMiB = 384
	}
	began := time.Now()
	g.Machine, err = machine.Start(machine.Config{Name: "dx-quick", Arch: c.Arch, Accel: g.Accel,
		CPUs: c.CPUs, MemoryMiB: c.MemoryMiB, Kernel: g.Kernel.Image, InitrdFile: initramfs, Append: c.kernelLine(g.Accel),
		Region: c.Region, IOMMU: c.IOMMU, Network: c.Network, Pin: c.Pin, Console: c.Console, Extra: c.Extra})
	if err != nil {
		return nil, err
	}
	if err := g.awaitReady(ctx); err != nil {
		g.Kill()
		return nil, err
	}
	g.BootTime = time.Since(began)
	go g.listen()
	return g, nil
}

// kernelLine leaves out what takes time in translated code. A panic ends QEMU, since the machine
// does not start again.
func (c Config) kernelLine(accel machine.Accel) string {
	words := []string{"console=" + c.Arch.Console() + " quiet panic=-1 cryptomgr.notests random.trust_cpu=on",
		"rdinit=" + Self, initEnv + "=1", accel.KernelArgs(c.Arch)}
	if accel == machine.TCG && c.Arch == machine.X8664 {
		// The emulated counter is the host's. Left alone, the kernel distrusts it for the emulated
		// HPET, of which each look takes 3 us and leaves the translated code. Mitigations change the
		// page tables on each way into the kernel, which empties the emulated TLB, and protect
		// nobody: all that the guest holds is ours. A kernel that gets no CPU while it waits for the first
		// ticks of its timer takes the timer for broken: it panics where interrupts are remapped.
		words = append(words, "tsc=reliable mitigations=off no_timer_check")
	}
	if c.IOMMU && c.Arch == machine.X8664 {
		words = append(words, "intel_iommu=on")
	}
	return strings.TrimSpace(strings.Join(append(words, c.KernelArg), " "))
}

func (c Config) initramfs(k Kernel) (*os.File, error) {
	programs := map[string]string{Self: c.Program}
	if c.Program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		programs[Self] = self
	}
	maps.Copy(programs, c.Programs)
	a := archive{}
	for guest, host := range programs {
		if err := a.addProgram(guest, host, c.Arch); err != nil {
			return nil, err
		}
	}
	modules, err := moduleFiles(k.Modules, c.Modules)
	if err != nil {
		return nil, err
	}
	for i, file := range modules {
		a[fmt.Sprintf("%s/%03d.ko", modulesDir, i)] = file
	}
	return a.file()
}

// awaitReady reads the first line of the init.
func (g *Guest) awaitReady(ctx context.Context) error {
	ready, err := json.Marshal(news{Ready: true})
	if err != nil {
		return err
	}
	return g.Await(ctx, string(ready))
}

// listen hands news to the commands that they are of, until QEMU ends.
func (g *Guest) listen() {
	for line := range g.Lines() {
		var n news
		if json.Unmarshal([]byte(line), &n) != nil {
			continue // a guest may write what it likes
		}
		g.mu.Lock()
		c := g.commands[n.ID]
		if n.Ended {
			delete(g.commands, n.ID)
		}
		g.mu.Unlock()
		if c != nil {
			c.take(n)
		}
	}
	<-g.Ended()
	g.mu.Lock()
	g.gone = true
	left := g.commands
	g.commands = nil
	g.mu.Unlock()
	for _, c := range left {
		c.finish(fmt.Errorf("%w: %w", ErrGone, g.Err()))
	}
}

// PowerOff lets the guest end itself, and kills it if it has not until ctx ends.
func (g *Guest) PowerOff(ctx context.Context) error {
	if err := g.order(order{Off: true}); err != nil {
		g.Kill()
		return err
	}
	return g.Wait(ctx)
}
