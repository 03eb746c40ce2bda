// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"dx/vm/machine"
	"dx/vm/quick"
)

// accelerator asks a quick guest what works here. The answer is kept until the next boot.
func accelerator(ctx context.Context, p *progress) (machine.Accel, string, error) {
	return quick.Accelerator(ctx, func(what string) { p.Step(what, 0) })
}
