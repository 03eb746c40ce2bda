// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// placement says on which CPUs each side runs.
type placement struct {
	host, guest []int
	pinned      bool
	before      unix.CPUSet
}

// chooseCPUs halves the CPUs that we may use and, unless told not to, puts this
// process on the host's half. restore undoes it.
func chooseCPUs(c config) (placement, error) {
	var p placement
	if err := unix.SchedGetaffinity(0, &p.before); err != nil {
		return p, fmt.Errorf("which CPUs may we use: %w", err)
	}
	var usable []int
	for cpu := 0; len(usable) < p.before.Count(); cpu++ {
		if p.before.IsSet(cpu) {
			usable = append(usable, cpu)
		}
	}
	if len(usable) < 2 {
		return p, fmt.Errorf("we may use %d CPU: two are needed, one for each side", len(usable))
	}
	p.host, p.guest = usable[:len(usable)/2], usable[len(usable)/2:]
	if c.pin == "none" {
		return p, nil
	}
	p.pinned = true
	return p, pinProcess(p.host)
}

// restore gives this process all its CPUs back.
func (p placement) restore() {
	if p.pinned {
		_ = setAffinity(&p.before)
	}
}

func (p placement) String() string {
	if !p.pinned {
		return "none"
	}
	return fmt.Sprintf("host %v guest %v", p.host, p.guest)
}

func pinProcess(cpus []int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return setAffinity(&set)
}

// setAffinity moves every thread of this process; those to come inherit it.
func setAffinity(set *unix.CPUSet) error {
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
		if err := unix.SchedSetaffinity(tid, set); err != nil && err != unix.ESRCH {
			return fmt.Errorf("cannot pin to CPUs: %w", err)
		}
	}
	return nil
}
