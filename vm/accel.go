// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"dx/vm/machine"
	"dx/vm/quick"
)

// accelerator asks a quick guest what works here. The answer is kept until the next boot.
func accelerator(ctx context.Context, p *progress) (machine.Accel, string, error) {
	return quick.Accelerator(ctx, func(what string) { p.Step(what, 0) })
}

func accel(ctx context.Context, args []string) error {
	fs := newFlags("accel", `
vm accel

Boots a small guest to see what runs a guest's code here, and prints kvm, hvf or tcg and why. It
takes some seconds; the answer is kept until this machine boots again. With DX_VM_ACCEL set it boots
nothing and prints that.

`)
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usageError{fmt.Errorf("accel takes no %q", fs.Arg(0))}
	}
	p := newProgress()
	found, why, err := accelerator(ctx, p)
	p.Close()
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", found, why)
	return nil
}
