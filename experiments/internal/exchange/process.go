// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"os"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
)

// startGuest starts the guest and waits until it says that it is ready.
func startGuest(ctx context.Context, c Config, host load, cpus placement, vm *vmRun) (peer.Process, error) {
	g := guestConfig{Lang: c.Guest, Path: c.Path, Payload: c.Payload, Wait: c.Wait,
		Procs: procs(c, cpus.Guest), Lock: c.LockOSThread,
		Handler: handlers{Time: c.HandlerTime, Concurrency: c.Concurrency}}
	g.Bell = c.Transport == TransportBell
	if c.Direction == result.GuestToHost {
		g.Threads, g.Verify = c.Threads, c.Verify
	}
	if vm != nil {
		g.URL, g.Verify, g.Wait.Relax = vm.machine.GuestURL(), c.Verify, vm.relax
		if isAlternative(c.Transport) {
			g.URL = host.url()
		}
		p, err := vm.machine.StartReady(ctx, []string{guestRole.Variable(g)}, os.Stderr)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	if cpus.pinned {
		g.CPUs = cpus.Guest
	}
	var inherited int
	g.URL, inherited = peer.Reach(host.url(), host.fd())
	return guestRole.Start(ctx, g, inherited)
}

// procs is GOMAXPROCS for a side.
func procs(c Config, cpus []int) int {
	if c.Procs > 0 {
		return c.Procs
	}
	return len(cpus)
}
