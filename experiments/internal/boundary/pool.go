// SPDX-License-Identifier: Apache-2.0

package boundary

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Pool keeps a machine from one measurement to the next, for as long as it lives and fits. The zero
// value is empty. Not for two goroutines at a time.
type Pool struct {
	// Bytes and Say go with every machine, beside what is asked for; see Options.
	Bytes int64
	Say   func(string)
	// Everything gives every machine doorbells and alternatives, whatever is asked for, so that all ways
	// across can be compared in one.
	Everything bool
	// Vsock gives every machine a vsock, too.
	Vsock bool

	machine *Machine
	options Options
}

// Machine returns the pool's machine, or boots one if there is none that lives and fits o.
func (p *Pool) Machine(ctx context.Context, o Options) (*Machine, error) {
	o.Bytes = max(o.Bytes, p.Bytes)
	o.Doorbell, o.Alternatives = o.Doorbell || p.Everything, o.Alternatives || p.Everything
	o.Vsock = o.Vsock || p.Vsock
	if p.machine != nil && !p.machine.Gone() && o.Bytes <= p.machine.Bytes() && o.CPUs == p.options.CPUs && o.Doorbell == p.options.Doorbell && o.Alternatives == p.options.Alternatives &&
		o.Vsock == p.options.Vsock && o.MemoryMiB <= p.options.MemoryMiB && slices.Equal(o.Pin, p.options.Pin) {
		return p.machine, nil
	}
	if err := p.Close(); err != nil {
		return nil, err
	}
	if o.Say == nil {
		o.Say = p.Say
	}
	m, err := Boot(ctx, o)
	if err != nil {
		return nil, err
	}
	p.machine, p.options = m, o
	return m, nil
}

// Accelerator names that of the pool's machine; empty: there has been none.
func (p *Pool) Accelerator() string {
	if p.machine == nil {
		return ""
	}
	return p.machine.Accelerator()
}

// Close ends the machine. The pool may be used again.
func (p *Pool) Close() error {
	m := p.machine
	p.machine = nil
	return m.Close()
}

// Relaxes between the looks of a guest.
const (
	relaxNone  = "none"
	relaxPause = "pause"
)

// BestRelax returns what is better between two looks in this guest: "pause" if the bare loop is faster
// with it by a tenth at least, else "none". Where PAUSE is a way out of translated code and back, what
// does more than the bare loop loses by it what the bare loop does not: dx a fifth of its rate. It
// measures once, each kind in turn a few times.
func (m *Machine) BestRelax() (string, error) {
	if m.relax != "" {
		return m.relax, nil
	}
	const rounds = 5
	var none, pause []float64
	for range rounds {
		for _, kind := range []struct {
			pause bool
			rtts  *[]float64
		}{{false, &none}, {true, &pause}} {
			r, err := m.Measure(0, kind.pause, 10*time.Millisecond)
			if err != nil {
				return "", errors.Join(errors.New("the choice of relax"), err)
			}
			*kind.rtts = append(*kind.rtts, r.RTTNs)
		}
	}
	slices.Sort(none)
	slices.Sort(pause)
	m.relax = relaxNone
	if pause[rounds/2] < 0.9*none[rounds/2] {
		m.relax = relaxPause
	}
	return m.relax, nil
}
