// SPDX-License-Identifier: Apache-2.0

package counters

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// counted runs work between two samples on a thread of its own.
func counted(t *testing.T, scope Scope, work func()) (v Values) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := Open(scope)
	defer set.Close()
	before := set.Sample()
	work()
	v = set.Since(before)
	return v
}

func count(t *testing.T, v Values, e Event) uint64 {
	t.Helper()
	n, ok := v.Count(e)
	if !ok {
		t.Fatalf("%v is NA: %s", e, v.Why(e))
	}
	return n
}

const pages = 1000

// touch faults in that many pages of fresh memory, one by one.
func touch(t *testing.T) {
	t.Helper()
	size := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, pages*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	if err := unix.Madvise(memory, unix.MADV_NOHUGEPAGE); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(memory); i += size {
		memory[i] = 1
	}
}

// block gives the CPU away that many times: each read of a pipe waits for the other thread.
const blocks = 200

func block(t *testing.T) {
	t.Helper()
	var there, back [2]int
	for _, pipe := range []*[2]int{&there, &back} {
		if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pipe[0])
		defer unix.Close(pipe[1])
	}
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread()
		one := make([]byte, 1)
		for range blocks {
			unix.Read(there[0], one)
			unix.Write(back[1], one)
		}
	})
	one := make([]byte, 1)
	for range blocks {
		unix.Write(there[1], one)
		unix.Read(back[0], one)
	}
	done.Wait()
}

func TestPageFaultsThatWereCausedAreCounted(t *testing.T) {
	for _, scope := range []Scope{Thread, Process} {
		idle := count(t, counted(t, scope, func() {}), PageFaults)
		got := count(t, counted(t, scope, func() { touch(t) }), PageFaults)
		if idle > pages/10 || got < pages || got > pages+pages/10 {
			t.Errorf("scope %d: %d page faults while idle, %d while touching %d pages", scope, idle, got, pages)
		}
	}
}

func TestContextSwitchesThatWereCausedAreCounted(t *testing.T) {
	for _, scope := range []Scope{Thread, Process} {
		idle := count(t, counted(t, scope, func() {}), ContextSwitches)
		got := count(t, counted(t, scope, func() { block(t) }), ContextSwitches)
		if idle > blocks/4 || got < blocks/2 {
			t.Errorf("scope %d: %d switches while idle, %d in %d blocking reads", scope, idle, got, blocks)
		}
	}
}

func TestCountsAreThoseOfTheKernelsOwnAccounting(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := Open(Thread)
	defer set.Close()
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_THREAD, &before)
	sample := set.Sample()
	touch(t)
	block(t)
	v := set.Since(sample)
	unix.Getrusage(unix.RUSAGE_THREAD, &after)
	for e, kernel := range map[Event]int64{
		PageFaults:      after.Minflt + after.Majflt - before.Minflt - before.Majflt,
		ContextSwitches: after.Nvcsw + after.Nivcsw - before.Nvcsw - before.Nivcsw,
	} {
		if got := int64(count(t, v, e)); got > kernel || got+20 < kernel {
			t.Errorf("%d %v, getrusage has %d", got, e, kernel)
		}
	}
}

func TestThreadsThatStartLaterBelongToTheProcessAndNotToTheThread(t *testing.T) {
	work := func() {
		var done sync.WaitGroup
		for range 4 {
			done.Go(func() {
				runtime.LockOSThread() // never unlocked: the thread is new or ends with its goroutine
				touch(t)
			})
		}
		done.Wait()
	}
	if got := count(t, counted(t, Process, work), PageFaults); got < 4*pages {
		t.Errorf("process: %d page faults in 4 threads of %d", got, pages)
	}
	if got := count(t, counted(t, Thread, work), PageFaults); got > pages {
		t.Errorf("thread: %d page faults, which other threads had", got)
	}
}

func TestHardwareEventsAreCountedOrSayWhyNot(t *testing.T) {
	sum := 0
	v := counted(t, Thread, func() {
		for i := range 10_000_000 {
			sum += i & 3
		}
	})
	t.Logf("%+v (%d)", v, sum&1)
	for e := range Events {
		n, ok := v.Count(e)
		if ok == (v.Why(e) != "") {
			t.Errorf("%v: known %v, reason %q", e, ok, v.Why(e))
		}
		if !ok && e.IsSoftware() {
			t.Errorf("%v is NA: %s", e, v.Why(e))
		}
		if ok && e == Instructions && n < 10_000_000 {
			t.Errorf("%d instructions in ten million rounds", n)
		}
	}
}

func TestReasonsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{unix.ENOENT, "no such counter (ENOENT"},
		{unix.EACCES, "kernel.perf_event_paranoid is " + paranoid()},
		{unix.EPERM, "CAP_PERFMON"},
		{unix.ENOSYS, "without perf events"},
		{unix.EMFILE, "ulimit -n"},
		{unix.EINVAL, "Linux 5.13"},
		{unix.EBUSY, "another program"},
		{unix.EIO, "input/output error"},
	} {
		if got := explain(c.err); !strings.Contains(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestSoftwareEventsThatAreRefusedComeFromGetrusage(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	set := &Set{scope: Thread} // as if perf_event_open had refused everything
	set.refuseAll(explain(unix.EPERM))
	before := set.Sample()
	touch(t)
	block(t)
	v := set.Since(before)
	if n := count(t, v, PageFaults); n < pages {
		t.Errorf("%d page faults", n)
	}
	if n := count(t, v, ContextSwitches); n < blocks/2 {
		t.Errorf("%d context switches", n)
	}
	if _, ok := v.Count(Cycles); ok || !strings.Contains(v.Why(Cycles), "paranoid") {
		t.Errorf("cycles: %q", v.Why(Cycles))
	}
}

func TestSamplesAllocateNothingAndSetsLeaveNoDescriptor(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := descriptors(t)
	for _, scope := range []Scope{Thread, Process} {
		set := Open(scope)
		before := set.Sample()
		if n := testing.AllocsPerRun(100, func() { set.Since(before) }); n != 0 {
			t.Errorf("scope %d: %v allocations a sample", scope, n)
		}
		set.Close()
		set.Close()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A guest in a VM is a static binary; what it counts has to reach the host as text.
func TestStaticBinaryCountsAndHandsItsValuesOver(t *testing.T) {
	program := filepath.Join(t.TempDir(), "count")
	build := exec.Command("go", "build", "-o", program, "./testdata/count")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	text, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var v Values
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if n := count(t, v, PageFaults); n < 100 {
		t.Errorf("%d page faults: %s", n, text)
	}
}
