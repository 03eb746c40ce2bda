// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dx/experiments/internal/result"
	"dx/go/dx"
)

// Measure starts host and guest, measures one run of c and ends both. The cell
// lacks what only the caller knows: the experiment's name, the number of the run
// and the commit. One goroutine at a time may call it, since it moves the whole
// process to the host's CPUs and back.
func Measure(ctx context.Context, c Config) (result.Cell, error) {
	return withPeers(ctx, c, (*measurement).whole)
}

// MeasureByDistance is Measure with a cell for each distance that the two CPUs had meanwhile, in the
// order of result.Distances.
func MeasureByDistance(ctx context.Context, c Config) ([]result.Cell, error) {
	return withPeers(ctx, c, (*measurement).byDistance)
}

// inPlace moves this process to the host's CPUs, has the virtual machine there that c leads into, if it
// does, and undoes both behind do.
func inPlace[T any](ctx context.Context, c Config, do func(placement, *vmRun) (T, error)) (out T, err error) {
	if err := c.Check(); err != nil {
		return out, err
	}
	cpus, err := chooseCPUs(c)
	if err != nil {
		return out, err
	}
	defer cpus.restore()
	vm, err := enter(ctx, c, cpus)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, vm.leave()) }()
	return do(cpus, vm)
}

// withPeers starts host and guest, lets measure use them and ends both.
func withPeers[T any](ctx context.Context, c Config,
	measure func(*measurement, context.Context) (T, error)) (out T, err error) {
	return inPlace(ctx, c, func(cpus placement, vm *vmRun) (T, error) {
		return betweenPeers(ctx, c, cpus, vm, measure)
	})
}

func betweenPeers[T any](ctx context.Context, c Config, cpus placement, vm *vmRun,
	measure func(*measurement, context.Context) (T, error)) (out T, err error) {
	host, err := openHost(c, vm)
	if err != nil {
		return out, err
	}
	guest, err := startGuest(ctx, c, host, cpus, vm)
	defer func() {
		// In this order: the guest goes when its host has closed.
		host.stop()
		closeErr := host.close()
		if guest != nil {
			closeErr = errors.Join(closeErr, guest.End())
		}
		if err == nil {
			err = closeErr
		}
	}()
	if err != nil {
		return out, err
	}
	unwatch := context.AfterFunc(ctx, host.stop)
	defer unwatch()
	if far, is := host.(*farLoad); is {
		far.guest = guest
	}
	if err := switchHistograms(c, host); err != nil {
		return out, err
	}
	if err := host.open(c.Payload, c.Verify); err != nil {
		return out, err
	}
	m := measurement{c: c, host: host, guest: guest, cpus: cpus, vm: vm}
	return measure(&m, ctx)
}

// switchHistograms has dx measure calls meanwhile, if that is asked for.
func switchHistograms(c Config, host load) error {
	if c.Histogram == 0 {
		return nil
	}
	url := host.url()
	if strings.HasPrefix(url, "memfd:") {
		url = fmt.Sprintf("memfd:%d", host.fd())
	}
	return dx.SwitchHistograms(url, 0, c.Histogram)
}
