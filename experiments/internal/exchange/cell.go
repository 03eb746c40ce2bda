// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"time"

	"dx/experiments/internal/result"
)

// Measure starts host and guest, measures one run of c and ends both. The cell
// lacks what only the caller knows: the experiment's name, the number of the run
// and the commit. One goroutine at a time may call it, since it moves the whole
// process to the host's CPUs and back.
func Measure(ctx context.Context, c Config) (cell result.Cell, err error) {
	if err := c.Check(); err != nil {
		return cell, err
	}
	cpus, err := chooseCPUs(c)
	if err != nil {
		return cell, err
	}
	defer cpus.restore()
	host, err := openHost(c)
	if err != nil {
		return cell, err
	}
	guest, err := startGuest(ctx, c, host, cpus)
	defer func() {
		// In this order: the guest goes when its host has closed.
		host.stop()
		closeErr := host.close()
		if guest != nil {
			closeErr = errors.Join(closeErr, guest.end())
		}
		if err == nil {
			err = closeErr
		}
	}()
	if err != nil {
		return cell, err
	}
	unwatch := context.AfterFunc(ctx, host.stop)
	defer unwatch()
	if err := host.open(c.Payload, c.Verify); err != nil {
		return cell, err
	}
	began := time.Now().UTC()
	m := measurement{c: c, host: host, guest: guest, cpus: cpus}
	cell, err = m.run(ctx)
	cell.Time = began
	return cell, err
}
