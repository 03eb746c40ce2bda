// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
)

// Arch is the architecture of a guest, by QEMU's name.
type Arch string

// The architectures. One that is not this machine's is run by TCG alone.
const (
	X8664   Arch = "x86_64"
	AArch64 Arch = "aarch64"
)

// HostArch is that of this machine.
func HostArch() Arch {
	if runtime.GOARCH == "arm64" {
		return AArch64
	}
	return X8664
}

// Program is the QEMU that runs such guests.
func (a Arch) Program() string { return "qemu-system-" + string(a) }

// lookUp finds that program in PATH.
func (a Arch) lookUp() (string, error) {
	path, err := exec.LookPath(a.Program())
	if err == nil {
		return path, nil
	}
	debian := map[Arch]string{X8664: "qemu-system-x86", AArch64: "qemu-system-arm"}[a]
	return "", fmt.Errorf("%w: %s is not in PATH: on Debian, apt-get install %s", ErrMissing, a.Program(), debian)
}

// Console is the device in a guest that becomes Config.Console, Signal the one of Send and Lines.
func (a Arch) Console() string {
	if a == AArch64 {
		return "ttyAMA0"
	}
	return "ttyS0"
}

// Signal is the device in a guest of the lines to and from the host.
func (a Arch) Signal() string {
	if a == AArch64 { // the only one on PCI; the board has none to spare
		return "ttyS0"
	}
	return "ttyS1"
}

// board are the options of QEMU that choose the machine, its processors and its serial lines.
func (c Config) board() []string {
	a := []string{"-machine", c.machineType(), "-accel", c.Accel.option(), "-cpu", c.cpu(),
		"-smp", strconv.Itoa(c.CPUs), "-m", strconv.Itoa(c.MemoryMiB) + "M",
		"-chardev", fmt.Sprintf("socket,id=console,fd=%d", consoleFD), "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=signal,fd=%d", signalFD)}
	if c.Arch == AArch64 {
		return append(a, "-device", "pci-serial,chardev=signal")
	}
	a = append(a, "-serial", "chardev:signal")
	if c.IOMMU { // before the devices that it is to govern
		a = append(a, "-device", "intel-iommu,"+c.Accel.iommu())
	}
	return a
}

func (c Config) machineType() string {
	switch {
	case c.Arch == AArch64 && c.IOMMU:
		return "virt,gic-version=max,iommu=smmuv3"
	case c.Arch == AArch64:
		return "virt,gic-version=max"
	case c.IOMMU && c.Accel == KVM:
		return "q35,kernel-irqchip=split"
	}
	return "q35"
}

func (c Config) cpu() string {
	switch {
	case c.Accel != TCG:
		return "host"
	case c.Arch == AArch64: // pointers are signed by what is quick to emulate
		return "max,pauth-impdef=on"
	}
	return "max"
}
