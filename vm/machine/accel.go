// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
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
	why, _, _ := strings.Cut(err.Error(), "\n") // the first that QEMU said; what follows helps nobody here
	return TCG, fmt.Sprintf("%s is there but runs no guest: %s", accel, why), nil
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

// KernelArgs returns what a guest's Linux is told on its command line. Under TCG it boots on one CPU,
// and the guest must start the others afterwards (OnlineCPUs). The reason is a fault of QEMU (seen in
// 7.2, in about one boot of 300 on x86-64): Linux changes its own code while it boots. If another virtual
// CPU translates that code at the same moment, QEMU can keep the old translation, and the guest never
// gets on. noreplace-smp keeps the kernel from changing its code once more when the other CPUs start.
func (a Accel) KernelArgs(arch Arch) string {
	switch {
	case a != TCG:
		return ""
	case arch == X8664:
		return "maxcpus=1 noreplace-smp"
	}
	return "maxcpus=1"
}

// OnlineCPUs is the pattern of the files in a guest that start a CPU: one writes 1 to each.
const OnlineCPUs = "/sys/devices/system/cpu/cpu*/online"

// iommu are the properties of intel-iommu.
func (a Accel) iommu() string {
	if a == KVM {
		return "intremap=on,caching-mode=on"
	}
	return "intremap=on"
}
