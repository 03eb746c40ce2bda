// SPDX-License-Identifier: Apache-2.0

// Package affinity gives the two sides of an experiment CPUs of their own.
package affinity

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Halves says on which CPUs each side runs.
type Halves struct {
	Host, Guest []int
	before      unix.CPUSet
}

// Split halves the CPUs that this process may use. If it may use one only, both sides share that:
// what is exchanged is as right as ever, and how fast it goes says nothing. String shows it.
func Split() (Halves, error) {
	var h Halves
	if err := unix.SchedGetaffinity(0, &h.before); err != nil {
		return h, fmt.Errorf("which CPUs may we use: %w", err)
	}
	var usable []int
	for cpu := 0; len(usable) < h.before.Count(); cpu++ {
		if h.before.IsSet(cpu) {
			usable = append(usable, cpu)
		}
	}
	if len(usable) == 1 {
		h.Host, h.Guest = usable, usable
		return h, nil
	}
	h.Host, h.Guest = usable[:len(usable)/2], usable[len(usable)/2:]
	return h, nil
}

// Restore gives this process all its CPUs back.
func (h Halves) Restore() error { return set(&h.before) }

func (h Halves) String() string { return fmt.Sprintf("host %v guest %v", h.Host, h.Guest) }

// Pin moves this process to these CPUs.
func Pin(cpus []int) error {
	var wanted unix.CPUSet
	for _, cpu := range cpus {
		wanted.Set(cpu)
	}
	return set(&wanted)
}

// set moves every thread of this process; those to come inherit it.
func set(cpus *unix.CPUSet) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		// A thread that has ended since is none of our business.
		if err := unix.SchedSetaffinity(tid, cpus); err != nil && err != unix.ESRCH {
			return fmt.Errorf("cannot pin to CPUs: %w", err)
		}
	}
	return nil
}
