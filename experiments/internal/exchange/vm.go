// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/result"
	"dx/go/dx"
	"dx/libdx"
)

// vmRun is what one measurement has of the virtual machine that its guest runs in.
type vmRun struct {
	machine *boundary.Machine
	relax   dx.Relax       // of the guest
	own     *boundary.Pool // that ends with the measurement; nil: the caller's goes on
}

// enter returns nil where host and guest are processes of one kernel. Else a machine is there when it
// returns, booted if there is none that fits.
func enter(ctx context.Context, c Config, cpus placement) (x *vmRun, err error) {
	if !boundary.Crosses(c.Transport) && !isAlternative(c.Transport) && c.Transport != TransportBell {
		return nil, nil
	}
	x = &vmRun{}
	pool := c.Machines
	if pool == nil {
		x.own = &boundary.Pool{}
		pool = x.own
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.leave())
		}
	}()
	bytes, err := RegionBytes(c)
	if err != nil {
		return nil, err
	}
	o := boundary.Options{Bytes: bytes, CPUs: len(cpus.Guest), Doorbell: c.Transport == boundary.TransportDoorbell || c.Transport == TransportBell,
		Alternatives: isAlternative(c.Transport), Vsock: c.Transport == TransportVsock}
	if cpus.pinned {
		o.Pin = cpus.Guest
	}
	if x.machine, err = pool.Machine(ctx, o); err != nil {
		return nil, err
	}
	x.relax, err = chooseRelax(c, x.machine)
	return x, err
}

// leave ends a machine that is the measurement's own. x may be nil.
func (x *vmRun) leave() error {
	if x == nil || x.own == nil {
		return nil
	}
	return x.own.Close()
}

// RegionBytes is what the region of c needs, which only the library knows.
func RegionBytes(c Config) (int64, error) {
	strategy := c.Wait
	strategy.Park = dx.ParkFutex // which memfd has, and takes no room
	if err := strategy.Check(); err != nil {
		return 0, err
	}
	wait := libdx.WaitOf(strategy)
	hostSlots, guestSlots := uint32(c.slots()), uint32(0)
	if c.Direction == result.GuestToHost {
		hostSlots, guestSlots = guestSlots, hostSlots
	}
	ch, err := libdx.Create("memfd:", hostSlots, guestSlots, uint64(c.Payload), uint64(c.Payload), &wait)
	if err != nil {
		return 0, err
	}
	return int64(ch.RegionBytes()), ch.Close()
}

// chooseRelax asks the bare loop whether a guest does better with PAUSE between its looks: in
// translated code it is a way out of that code and back.
func chooseRelax(c Config, m *boundary.Machine) (relax dx.Relax, err error) {
	name := c.GuestRelax
	if name == RelaxAuto {
		if name, err = m.BestRelax(); err != nil {
			return relax, err
		}
	}
	err = relax.UnmarshalText([]byte(name))
	return relax, err
}
