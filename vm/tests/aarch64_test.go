// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"dx/vm/machine"
	"dx/vm/quick"
)

// The guest is another kind of processor than the host, which is an x86-64 most often: an aarch64 with its
// own interrupt controller, IOMMU and PCI bridge, and this test's program compiled for it.
func TestCallsIntoAnAArch64Machine(t *testing.T) {
	callsInto(t, newSharedMachine(t, quick.Config{Arch: machine.AArch64, Program: builtForAArch64(t)}))
}

// builtForAArch64 is this test's program, linked statically.
func builtForAArch64(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-o", program, "-ldflags=-s -w -linkmode=external -extldflags=-static", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=1")
	if runtime.GOARCH != "arm64" {
		cmd.Env = append(cmd.Env, "CC=aarch64-linux-gnu-gcc")
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("this test for arm64 (on Debian, apt-get install gcc-aarch64-linux-gnu): %v\n%s", err, said)
	}
	return program
}
