// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sample is what a process holds on to at one moment, with all callers at work.
type sample struct {
	Descriptors int64 `json:"descriptors"`
	Regions     int64 `json:"regions"`        // mappings of the region
	Mappings    int64 `json:"mappings"`       // all of them
	Resident    int64 `json:"resident_bytes"` // anonymous memory
	Heap        int64 `json:"heap_bytes"`     // in use, of Go (collected) and of C
}

// limits is what may be more at the end of an era than at its beginning: descriptors and regions
// not at all; memory a little, as runtimes keep stacks, arenas and caches for later.
var limits = sample{Mappings: 16, Resident: 8 << 20, Heap: 128 << 10}

// samplesNeeded is how many faults a process must have lived through to be judged.
const samplesNeeded = 6

// fields pairs the values of samples with their names.
func (s *sample) fields() []struct {
	name  string
	value *int64
} {
	return []struct {
		name  string
		value *int64
	}{
		{"descriptors", &s.Descriptors}, {"mappings of the region", &s.Regions},
		{"mappings", &s.Mappings}, {"bytes of resident memory", &s.Resident}, {"bytes of heap", &s.Heap},
	}
}

// takeSample samples a process that has lived through a fault.
func (s *soak) takeSample(ctx context.Context, p *process) error {
	heap, err := s.ask(ctx, p, "sample")
	if err != nil {
		return err
	}
	now, err := sampleOf(p.cmd.Process.Pid, s.path)
	if err != nil {
		// One that has just ended is found by who looks for deaths.
		return errors.Join(s.lookForDeath(), err)
	}
	now.Heap = int64(heap)
	p.samples = append(p.samples, now)
	return nil
}

// ask sends a command to a process and waits for its answer.
func (s *soak) ask(ctx context.Context, p *process, command string) (answer uint64, err error) {
	select {
	case <-p.answers: // to what nobody waited for
	default:
	}
	p.tell(command)
	err = s.await(ctx, fmt.Sprintf("an answer of %v to %q", p, command), func() bool {
		select {
		case answer = <-p.answers:
			return true
		default:
			return false
		}
	})
	return answer, err
}

// sampleOf reads what the kernel says of a process.
func sampleOf(pid int, region string) (sample, error) {
	var now sample
	proc := fmt.Sprintf("/proc/%d/", pid)
	descriptors, err := os.ReadDir(proc + "fd")
	if err != nil {
		return now, err
	}
	now.Descriptors = int64(len(descriptors))
	maps, err := os.ReadFile(proc + "maps")
	if err != nil {
		return now, err
	}
	for line := range strings.Lines(string(maps)) {
		now.Mappings++
		if strings.Contains(line, region) || strings.Contains(line, "/memfd:dx ") {
			now.Regions++
		}
	}
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		return now, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, found := strings.CutPrefix(line, "RssAnon:"); found {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
			if err != nil {
				return now, err
			}
			now.Resident = n << 10
		}
	}
	return now, nil
}

// growth is by how much the least of the later half exceeds the most of the earlier half, and the
// most of the later half its least: what grows with every fault does so, what comes and goes does
// not, nor does what is opened once, such as the eventfd of a goroutine that sleeps for the first
// time.
func growth(samples []sample) (grown sample, ok bool) {
	if len(samples) < samplesNeeded {
		return grown, false
	}
	half := len(samples) / 2
	for i, field := range grown.fields() {
		var most, least, latest int64
		for k := range samples {
			value := *samples[k].fields()[i].value
			switch {
			case k < half && (k == 0 || value > most):
				most = value
			case k >= half && (k == half || value < least):
				least = value
			}
			if k == half || k > half && value > latest {
				latest = value
			}
		}
		*field.value = max(0, min(least-most, latest-least))
	}
	return grown, true
}

// judge looks for leaks of a process that has ended or is about to.
func (s *soak) judge(p *process) {
	grown, ok := growth(p.samples)
	if !ok {
		return
	}
	l := &s.report.Leaks
	l.Judged++
	l.Faults += len(p.samples)
	allowed := limits.fields()
	worst := l.Worst.fields()
	for i, field := range grown.fields() {
		*worst[i].value = max(*worst[i].value, *field.value)
		if *field.value > *allowed[i].value {
			s.fail("leak: %v has %d %s more behind %d faults than before", p, *field.value,
				field.name, len(p.samples))
		}
	}
	p.samples = nil
}

// checkSlots lets the host give all slots back and take them again, each for a verified call.
func (s *soak) checkSlots(ctx context.Context) error {
	host := s.holder("host")
	if host == nil {
		s.fail("nobody is the host%s", s.standings())
		return errFailed
	}
	right, err := s.ask(ctx, host, "slots")
	if err != nil {
		return err
	}
	s.report.Leaks.SlotChecks++
	if missing := s.callers - int(right); missing > 0 {
		s.report.Leaks.Slots += missing
		s.fail("leak: of %d slots of %v only %d could be taken and answered a call", s.callers, host, right)
		return errFailed
	}
	return nil
}

// end ends everything in good order, and looks at what is left and whether the books agree.
func (s *soak) end(ctx context.Context) error {
	if err := s.checkSlots(ctx); err != nil {
		return err
	}
	host, guest := s.holder("host"), s.holder("guest")
	last := []*process{guest, host}
	for _, p := range s.all {
		if p != host && p != guest && !p.doomed {
			last = append([]*process{p}, last...) // who stands by goes first
		}
	}
	for _, p := range last {
		if p == nil {
			continue
		}
		if err := s.terminate(p); err != nil {
			return err
		}
		s.judge(p)
	}
	s.lookForNames()
	return s.checkBooks()
}

// lookForNames finds what a host that closed has left. A file that it has taken over, as against
// made, is not its own to remove.
func (s *soak) lookForNames() {
	var left []string
	if _, err := os.Lstat(s.path); err == nil && s.transport != "file" {
		left = append(left, s.path)
	}
	if s.folder != "" {
		entries, _ := os.ReadDir(s.folder)
		for _, e := range entries {
			if name := s.folder + "/" + e.Name(); name != s.path {
				left = append(left, name)
			}
		}
	}
	s.report.Leaks.Names = len(left)
	if len(left) > 0 {
		s.fail("leak: left behind: %s", strings.Join(left, ", "))
	}
}
