// SPDX-License-Identifier: Apache-2.0

// Package counters counts cache misses, cycles, context switches and the like by perf_event_open.
// What the machine or the kernel does not give is NA with the reason, and never looks like a zero.
//
// A measurement is two samples around it, which cost a system call for each group and allocate
// nothing:
//
//	runtime.LockOSThread()
//	set := counters.Open(counters.Thread)
//	defer set.Close()
//	before := set.Sample()
//	work()
//	values := set.Since(before)
//	ipc, known := values.IPC()
//
// Values turn into JSON and back, so that the process of the other side, or a program in a VM, can
// hand its own over. The package is Go alone: a static binary has it.
package counters

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Event is something that can be counted.
type Event int

// The events. Cache and TLB references are loads of the program; hardware events leave the kernel
// out, so that figures mean the same with and without privileges.
const (
	L1DMisses Event = iota
	L1DReferences
	LLCMisses
	LLCReferences
	DTLBMisses
	DTLBReferences
	Cycles
	Instructions
	ContextSwitches
	PageFaults
	// Events is how many there are.
	Events
)

const (
	loads      = unix.PERF_COUNT_HW_CACHE_OP_READ << 8
	references = unix.PERF_COUNT_HW_CACHE_RESULT_ACCESS << 16
	misses     = unix.PERF_COUNT_HW_CACHE_RESULT_MISS << 16
)

// kinds are the kernel's names for the events, in their order. Neighbours of one group are counted
// at the same time, so that a ratio of the two holds even while groups take turns: see scale.
var kinds = [Events]struct {
	name     string
	group    int
	kind     uint32
	config   uint64
	inKernel bool
}{
	L1DMisses:      {"l1d_misses", 0, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_L1D | loads | misses, false},
	L1DReferences:  {"l1d_references", 0, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_L1D | loads | references, false},
	LLCMisses:      {"llc_misses", 1, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | loads | misses, false},
	LLCReferences:  {"llc_references", 1, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | loads | references, false},
	DTLBMisses:     {"dtlb_misses", 2, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_DTLB | loads | misses, false},
	DTLBReferences: {"dtlb_references", 2, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_DTLB | loads | references, false},
	Cycles:         {"cycles", 3, unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES, false},
	Instructions:   {"instructions", 3, unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_INSTRUCTIONS, false},
	// A context switch happens in the kernel: without it, the kernel counts none and says 0.
	ContextSwitches: {"context_switches", 4, unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES, true},
	PageFaults:      {"page_faults", 4, unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS, true},
}

const groups = 5

// String returns the name of the event in JSON, such as l1d_misses.
func (e Event) String() string {
	if e < 0 || e >= Events {
		return fmt.Sprintf("event %d", int(e))
	}
	return kinds[e].name
}

// IsSoftware says whether the kernel itself counts the event, without any help of the processor.
func (e Event) IsSoftware() bool { return kinds[e].kind == unix.PERF_TYPE_SOFTWARE }
