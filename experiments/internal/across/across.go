// SPDX-License-Identifier: Apache-2.0

// Package across reports of what experiments/boundary measured: the ways from a host into a virtual
// machine on it.
package across

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dx/experiments/internal/env"
	"dx/experiments/internal/exchange"
	"dx/experiments/internal/result"
)

// Experiment is its name in results.
const Experiment = "boundary"

// The names of the ways that are compared by name.
const (
	Polling      = "polling"
	SpinFirst    = "spin, then doorbell"
	PollingAgain = "polling again" // to compare polling with itself, and for nothing else
	AtOnce       = "doorbell"
	AtOnceInC    = "doorbell, in C"
	BareBell     = "bare doorbell, in C" // what a parked call cannot be faster than
	Serial       = "virtio-serial"
	TCP          = "TCP"
	Vsock        = "vsock"
)

// Polls are the intervals of those that look again.
var Polls = []time.Duration{50 * time.Microsecond, 500 * time.Microsecond}

// Poll is the name of one that looks again.
func Poll(every time.Duration) string { return "poll " + every.String() }

// Alternatives are what one would take without dx.
var Alternatives = []string{Serial, TCP, Vsock}

// Names are all ways, in the order of tables.
func Names() []string {
	all := []string{Polling, SpinFirst, PollingAgain, AtOnce, AtOnceInC, BareBell}
	for _, every := range Polls {
		all = append(all, Poll(every))
	}
	return append(all, Alternatives...)
}

// MachineAlone is the "way" of a machine in which nothing of ours runs.
const MachineAlone = "the machine alone"

// Log is what was measured, and what was not.
type Log struct {
	Cells []result.Cell
	Idle  []IdleRun
	Out   []LeftOut
}

// IdleRun is one line of IdleName.
type IdleRun struct {
	Way string `json:"way"`
	Run int    `json:"run"`
	exchange.Idleness
	EnvCommit string `json:"env_commit"`
}

// LeftOut is one line of LeftOutName: a way that this machine does not have.
type LeftOut struct {
	Way string `json:"way"`
	Why string `json:"why"`
}

func (o LeftOut) String() string { return fmt.Sprintf("%s: left out: %s", o.Way, o.Why) }

// Names of files beside result.FileName.
const (
	IdleName    = "idle.jsonl"
	LeftOutName = "left_out.jsonl"
)

// Load reads what a run has left in a folder.
func Load(folder string) (l Log, e env.Environment, err error) {
	if l.Cells, _, err = result.Read(filepath.Join(folder, result.FileName)); err != nil {
		return l, e, err
	}
	if len(l.Cells) == 0 || l.Cells[0].Experiment != Experiment {
		return l, e, fmt.Errorf("%s: no results of %s", folder, Experiment)
	}
	err = errors.Join(result.ReadLog(filepath.Join(folder, IdleName), &l.Idle),
		result.ReadLog(filepath.Join(folder, LeftOutName), &l.Out))
	saved, loadErr := env.Load(folder)
	if saved != nil {
		e = *saved
	}
	e.Accelerator = l.Cells[0].Accelerator
	return l, e, errors.Join(err, loadErr)
}

// Of selects the runs of a way at a rate; 0: each call when the one before was answered.
func (l Log) Of(name string, rate float64) (runs result.Runs) {
	for _, c := range l.Cells {
		if c.Variant == name && c.Rate() == rate {
			runs = append(runs, c)
		}
	}
	return runs
}

// Footer says where it was measured.
func Footer(e env.Environment) string {
	return e.Footer() + ", guest under " + strings.ToUpper(e.Accelerator)
}

// Rates puts the closed loop first.
func (l Log) Rates() []float64 {
	rates := []float64{0}
	for _, c := range l.Cells {
		if !slices.Contains(rates, c.Rate()) {
			rates = append(rates, c.Rate())
		}
	}
	return rates
}
