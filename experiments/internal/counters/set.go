// SPDX-License-Identifier: Apache-2.0

package counters

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Scope is whose events are counted.
type Scope int

const (
	// Thread is the calling OS thread, which a goroutine keeps by runtime.LockOSThread.
	Thread Scope = iota
	// Process is all threads of this process, those included that start later. A child process is
	// not one of them.
	Process
)

// Set is a set of open counters. One goroutine at a time may use it.
type Set struct {
	scope   Scope
	members []member
	reasons [Events]string
	buffer  [8 * (3 + int(Events))]byte
}

// member is a group of one thread. The first of its descriptors is the leader.
type member struct {
	events []Event
	fds    []int
}

// reading is one event: its count and for how many ns it was enabled and really counted.
type reading struct{ count, enabledNs, runningNs uint64 }

// Sample is the state of all counters at one moment; two of them give Values.
type Sample struct {
	readings [Events]reading
	failed   [Events]bool
}

// Open starts counting. It never fails: what cannot be counted is NA in every Values, with its
// reason. Context switches and page faults that perf_event_open refuses are those of getrusage.
// Close stops counting.
func Open(scope Scope) *Set {
	s := &Set{scope: scope}
	if scope == Thread {
		s.addThread(0)
		return s
	}
	// A thread that starts meanwhile is counted with the one that started it if that one is open
	// already, and else not at all: begin again until none has started.
	const tries = 20
	for range tries {
		before, err := threads()
		if err != nil {
			s.refuseAll(fmt.Sprintf("cannot list the threads of this process: %v", err))
			return s
		}
		for _, tid := range before {
			s.addThread(tid)
		}
		if after, err := threads(); err == nil && isSubset(after, before) {
			return s
		}
		s.Close()
		*s = Set{scope: scope}
	}
	s.refuseAll("threads start faster than counters can be opened for them")
	return s
}

func (s *Set) refuseAll(why string) {
	for e := range Events {
		s.refuse(e, why)
	}
}

// refuse notes the first reason; a software event has another source.
func (s *Set) refuse(e Event, why string) {
	if !e.IsSoftware() && s.reasons[e] == "" {
		s.reasons[e] = why
	}
}

func threads() (tids []int, err error) {
	entries, err := os.ReadDir("/proc/self/task")
	for _, entry := range entries {
		if tid, err := strconv.Atoi(entry.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids, err
}

func isSubset(list, of []int) bool {
	known := map[int]bool{}
	for _, x := range of {
		known[x] = true
	}
	for _, x := range list {
		if !known[x] {
			return false
		}
	}
	return true
}

// addThread opens the groups of one thread; 0 is the calling one.
func (s *Set) addThread(tid int) {
	var opened [groups]member
	for e := range Events {
		m := &opened[kinds[e].group]
		leader := -1
		if len(m.fds) > 0 {
			leader = m.fds[0]
		}
		fd, err := unix.PerfEventOpen(attributes(e, s.scope), tid, -1, leader, unix.PERF_FLAG_FD_CLOEXEC)
		switch {
		case err == nil:
			m.events, m.fds = append(m.events, e), append(m.fds, fd)
		case errors.Is(err, unix.ESRCH): // the thread has ended
		default:
			s.refuse(e, explain(err))
		}
	}
	for _, m := range opened {
		if len(m.fds) > 0 {
			s.members = append(s.members, m)
		}
	}
}

// inheritThread makes PerfBitInherit leave child processes out (Linux 5.13); the library has no name
// for it.
const inheritThread = 1 << 35

// attributes of one event. Counters of a process are inherited by threads that it starts; the kernel
// gives such counters one by one only, although it schedules them as a group.
func attributes(e Event, scope Scope) *unix.PerfEventAttr {
	a := &unix.PerfEventAttr{
		Type:        kinds[e].kind,
		Size:        unix.PERF_ATTR_SIZE_VER7,
		Config:      kinds[e].config,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
		Bits:        unix.PerfBitExcludeHv,
	}
	if !kinds[e].inKernel {
		a.Bits |= unix.PerfBitExcludeKernel
	}
	if scope == Process {
		a.Bits |= unix.PerfBitInherit | inheritThread
	} else {
		a.Read_format |= unix.PERF_FORMAT_GROUP
	}
	return a
}

// Sample reads all counters. It allocates nothing.
func (s *Set) Sample() (now Sample) {
	for i := range s.members {
		if m := &s.members[i]; s.scope == Thread {
			s.readGroup(m, &now)
		} else {
			s.readEach(m, &now)
		}
	}
	s.readUsage(&now)
	return now
}

func (s *Set) read(fd, words int) bool {
	n, err := unix.Read(fd, s.buffer[:8*words])
	return err == nil && n == 8*words
}

func (s *Set) word(i int) uint64 { return binary.NativeEndian.Uint64(s.buffer[8*i:]) }

// readGroup reads count, time enabled, time running, and the count of each event.
func (s *Set) readGroup(m *member, now *Sample) {
	whole := s.read(m.fds[0], 3+len(m.events))
	for i, e := range m.events {
		if !whole {
			now.failed[e] = true
			continue
		}
		now.readings[e] = reading{s.word(3 + i), s.word(1), s.word(2)}
	}
}

// readEach adds up the events of one of several threads.
func (s *Set) readEach(m *member, now *Sample) {
	for i, e := range m.events {
		if !s.read(m.fds[i], 3) {
			now.failed[e] = true
			continue
		}
		r := &now.readings[e]
		r.count += s.word(0)
		r.enabledNs += s.word(1)
		r.runningNs += s.word(2)
	}
}

// has says whether perf_event_open gave the event for the first thread, and so for all.
func (s *Set) has(e Event) bool {
	for i := range s.members {
		for _, have := range s.members[i].events {
			if have == e {
				return true
			}
		}
	}
	return false
}

// readUsage stands in for software events that were refused.
func (s *Set) readUsage(now *Sample) {
	if s.has(ContextSwitches) && s.has(PageFaults) {
		return
	}
	who := unix.RUSAGE_SELF
	if s.scope == Thread {
		who = unix.RUSAGE_THREAD
	}
	var usage unix.Rusage
	err := unix.Getrusage(who, &usage)
	for _, c := range [...]struct {
		event Event
		count int64
	}{{ContextSwitches, usage.Nvcsw + usage.Nivcsw}, {PageFaults, usage.Minflt + usage.Majflt}} {
		if !s.has(c.event) {
			now.readings[c.event] = reading{uint64(c.count), 1, 1}
			now.failed[c.event] = err != nil
		}
	}
}

// Close stops counting. A second Close does nothing.
func (s *Set) Close() {
	for _, m := range s.members {
		for i := len(m.fds) - 1; i >= 0; i-- { // members before their leader
			unix.Close(m.fds[i])
		}
	}
	s.members = nil
}

// explain says why a counter is not there, and what can be done.
func explain(err error) string {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV):
		return fmt.Sprintf("this machine has no such counter (%s: usual in a VM without a virtual PMU)", unix.ErrnoName(errno(err)))
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Sprintf("not permitted (%s): kernel.perf_event_paranoid is %s and must be 2 or less, or the process needs CAP_PERFMON; a container's seccomp filter may forbid it, too",
			unix.ErrnoName(errno(err)), paranoid())
	case errors.Is(err, unix.ENOSYS):
		return "the kernel was built without perf events (ENOSYS)"
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Sprintf("no descriptor left for it (%s): raise ulimit -n", unix.ErrnoName(errno(err)))
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.ENOSPC):
		return fmt.Sprintf("another program holds the counters (%s)", unix.ErrnoName(errno(err)))
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.E2BIG):
		return fmt.Sprintf("the kernel refuses the request (%s): Linux 5.13 or later is needed", unix.ErrnoName(errno(err)))
	}
	return fmt.Sprintf("perf_event_open: %v", err)
}

func errno(err error) (number syscall.Errno) {
	errors.As(err, &number)
	return number
}

func paranoid() string {
	text, err := os.ReadFile("/proc/sys/kernel/perf_event_paranoid")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
