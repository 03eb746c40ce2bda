// SPDX-License-Identifier: Apache-2.0

package exchange

import "dx/experiments/internal/affinity"

// placement says on which CPUs each side runs.
type placement struct {
	affinity.Halves
	pinned bool
}

// chooseCPUs halves the CPUs that we may use and, unless told not to, puts this
// process on the host's half. restore undoes it.
func chooseCPUs(c Config) (placement, error) {
	halves, err := affinity.Split()
	p := placement{Halves: halves}
	if err != nil || c.Pin == "none" {
		return p, err
	}
	p.pinned = true
	return p, affinity.Pin(p.Host)
}

// restore gives this process all its CPUs back.
func (p placement) restore() {
	if p.pinned {
		_ = p.Restore()
	}
}

func (p placement) String() string {
	if !p.pinned {
		return "none"
	}
	return p.Halves.String()
}
