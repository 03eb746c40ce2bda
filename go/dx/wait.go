// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"fmt"
	"strings"

	"dx/go/internal/spin"
	"dx/libdx"
)

// Relax says what runs between two looks.
type Relax uint32

// Park says how to sleep when spinning did not pay.
type Park uint32

// Adapt says who moves the spin limit.
type Adapt uint32

// The values, as in dx_wait.h.
const (
	RelaxNone  Relax = libdx.RelaxNone
	RelaxPause Relax = libdx.RelaxPause
	// RelaxHardware is RelaxPause where HardwareWait returns "pause".
	RelaxHardware Relax = libdx.RelaxHardware

	ParkNever Park = libdx.ParkNever
	ParkFutex Park = libdx.ParkFutex
	ParkSem   Park = libdx.ParkSem
	ParkPoll  Park = libdx.ParkPoll
	// ParkDoorbell is for unix: only.
	ParkDoorbell Park = libdx.ParkDoorbell

	AdaptOff  Adapt = libdx.AdaptOff
	AdaptStep Adapt = libdx.AdaptStep
	AdaptCost Adapt = libdx.AdaptCost
	AdaptLoad Adapt = libdx.AdaptLoad
)

var (
	relaxNames = []string{"none", "pause", "hardware"}
	parkNames  = []string{"never", "futex", "sem", "poll", "doorbell"}
	adaptNames = []string{"off", "step", "cost", "load"}
)

// Wait is the wait strategy: how a side waits for the other. dx_wait.h explains
// it; the keys are the same in C, in Go and in TOML files. Begin with a preset.
// The tag "usage" of a field is its text for people, of which experiments make flags.
type Wait struct {
	SpinMin       uint32 `toml:"spin_min" json:"spin_min" usage:"looks, at least"`
	SpinMax       uint32 `toml:"spin_max" json:"spin_max" usage:"looks, at most; 0 parks at once"`
	SpinStart     uint32 `toml:"spin_start" json:"spin_start" usage:"looks, at first; from SpinMin to SpinMax"`
	SpinInc       uint32 `toml:"spin_inc" json:"spin_inc" usage:"looks more when spinning paid"`
	SpinDec       uint32 `toml:"spin_dec" json:"spin_dec" usage:"looks less when it did not"`
	YieldEvery    uint32 `toml:"yield_every" json:"yield_every" usage:"looks between yields; 0 never yields"`
	Burst         uint32 `toml:"burst" json:"burst" usage:"calls in a row before a goroutine must yield, in C 64 times as many; 0 never"`
	Relax         Relax  `toml:"relax" json:"relax" usage:"between looks: none, pause, hardware (UMWAIT, MWAITX or WFE; pause where the CPU has none)"`
	Park          Park   `toml:"park" json:"park" usage:"sleep by: never, futex, sem, poll, doorbell (of unix and ivshmem-doorbell)"`
	Adapt         Adapt  `toml:"adapt" json:"adapt" usage:"spin limit moved by: off, step, cost, load"`
	ParkTimeoutNs int64  `toml:"park_timeout_ns" json:"park_timeout_ns" usage:"longest single sleep, such as 100ms"`
	PollNs        int64  `toml:"poll_ns" json:"poll_ns" usage:"sleep between looks of park poll, such as 50us"`
	PeerTimeoutNs int64  `toml:"peer_timeout_ns" json:"peer_timeout_ns,omitzero" usage:"a peer in a virtual machine is dead when its heartbeat has not changed for so long, 300ms to 1000s; 0: 1s"`
}

// Preset returns a wait strategy by name: balanced, latency, throughput or
// low-power.
func Preset(name string) (Wait, error) {
	raw, err := libdx.Preset(name)
	var w Wait
	raw.CopyTo(&w)
	return w, ours(err)
}

// PresetNames lists the names that Preset knows.
func PresetNames() []string { return libdx.PresetNames() }

// HardwareWait returns what RelaxHardware is on this machine: "umwait", "mwaitx",
// "wfe", or "pause" where the CPU has none of them.
func HardwareWait() string { return spin.Hardware() }

// Check says which field is out of its range, with its value and the range.
func (w Wait) Check() error {
	raw := libdx.WaitOf(w)
	return ours(raw.Check())
}

func nameOf(names []string, i uint32) string {
	if int(i) < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func indexOf(names []string, text []byte) (uint32, error) {
	for i, name := range names {
		if name == string(text) {
			return uint32(i), nil
		}
	}
	return 0, fmt.Errorf("%q is none of: %s", text, strings.Join(names, ", "))
}

// String returns the name used in files and flags.
func (r Relax) String() string { return nameOf(relaxNames, uint32(r)) }

// String returns the name used in files and flags.
func (p Park) String() string { return nameOf(parkNames, uint32(p)) }

// String returns the name used in files and flags.
func (a Adapt) String() string { return nameOf(adaptNames, uint32(a)) }

// MarshalText writes the name.
func (r Relax) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// MarshalText writes the name.
func (p Park) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// MarshalText writes the name.
func (a Adapt) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the name.
func (r *Relax) UnmarshalText(text []byte) error {
	i, err := indexOf(relaxNames, text)
	*r = Relax(i)
	return err
}

// UnmarshalText reads the name.
func (p *Park) UnmarshalText(text []byte) error {
	i, err := indexOf(parkNames, text)
	*p = Park(i)
	return err
}

// UnmarshalText reads the name.
func (a *Adapt) UnmarshalText(text []byte) error {
	i, err := indexOf(adaptNames, text)
	*a = Adapt(i)
	return err
}
