// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Accel is how QEMU runs the guest's instructions; experiments print it with every figure.
type Accel string

// The accelerators. TCG translates the guest's code, and works everywhere.
const (
	KVM Accel = "kvm"
	HVF Accel = "hvf"
	TCG Accel = "tcg"
)

// AccelEnv names the environment variable that overrules Choose.
const AccelEnv = "DX_VM_ACCEL"

// Choose returns the best accelerator that really runs a guest, and says in a sentence why it is
// that one. trial boots a guest with the accelerator and returns nil when the guest has said so;
// its context ends when a guest that works would long have. That /dev/kvm can be opened proves
// little: nested hypervisors offer one under which no kernel gets far.
func Choose(ctx context.Context, trial func(context.Context, Accel) error) (Accel, string, error) {
	switch wish := Accel(os.Getenv(AccelEnv)); wish {
	case "":
	case KVM, HVF, TCG:
		return wish, "as " + AccelEnv + " says", nil
	default:
		return "", "", fmt.Errorf("%s=%s: kvm, hvf or tcg", AccelEnv, wish)
	}
	accel := KVM
	if runtime.GOOS == "darwin" {
		accel = HVF
	} else if err := openable("/dev/kvm"); err != nil {
		return TCG, fmt.Sprintf("no KVM: %v", err), nil
	}
	err := trial(ctx, accel)
	if err == nil {
		return accel, "a trial guest ran", nil
	}
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	return TCG, fmt.Sprintf("%s is there but runs no guest: %v", accel, err), nil
}

func openable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// option is the value of -accel. Under TCG each virtual CPU has a thread of its own, without which
// a guest that spins would starve its other CPUs.
func (a Accel) option() string {
	if a == TCG {
		return "tcg,thread=multi"
	}
	return string(a)
}

// KernelArgs are for the command line of a guest's Linux; OnlineCPUs must follow when the guest has
// booted. While it boots the kernel changes its own code, and an emulator that is changing its
// translation of that code for one CPU may let another one keep the old translation for ever: of a
// breakpoint, for example, that is long gone (seen in QEMU 7.2, in one of some hundred boots). With one
// CPU there is no other one. The kernel is also kept from making its code that of a machine with one CPU.
func (a Accel) KernelArgs() string {
	if a == TCG {
		return "maxcpus=1 noreplace-smp"
	}
	return ""
}

// OnlineCPUs matches the files of a guest to which 1 is to be written, for the CPUs that KernelArgs has
// kept back.
const OnlineCPUs = "/sys/devices/system/cpu/cpu*/online"

func (a Accel) cpu() string {
	if a == TCG {
		return "max"
	}
	return "host"
}

// iommu are the properties of intel-iommu.
func (a Accel) iommu() string {
	if a == KVM {
		return "intremap=on,caching-mode=on"
	}
	return "intremap=on"
}
