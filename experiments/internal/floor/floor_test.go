// SPDX-License-Identifier: Apache-2.0

package floor

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// usable lists the CPUs that this process may run on.
func usable(t *testing.T) []int {
	t.Helper()
	var mask [cpus / 64]uint64
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		t.Fatalf("sched_getaffinity: %v", errno)
	}
	var list []int
	for cpu := range cpus {
		if mask[cpu/64]>>(cpu%64)&1 == 1 {
			list = append(list, cpu)
		}
	}
	return list
}

func TestMeasureCountsRoundTripsOfEveryPayload(t *testing.T) {
	cpu := both(t)
	for _, bytes := range []int{0, 1, 64, 4096, MaxExchangeBytes} {
		const d = 20 * time.Millisecond
		got, err := Measure(cpu[0], cpu[1], bytes, d)
		if err != nil {
			t.Fatalf("%d bytes: %v", bytes, err)
		}
		if got.Loops == 0 || got.Elapsed < d {
			t.Errorf("%d bytes: %+v", bytes, got)
		}
		if want := float64(got.Elapsed) / float64(got.Loops); math.Abs(got.RTTNs-want) > 1e-6 {
			t.Errorf("%d bytes: RTTNs %v, want Elapsed/Loops %v", bytes, got.RTTNs, want)
		}
		t.Logf("%7d bytes: %.1f ns, %d round trips", bytes, got.RTTNs, got.Loops)
	}
}

func TestEachStepExchanges(t *testing.T) {
	cpu := both(t)
	for step, what := range Steps {
		got, err := MeasureSteps(cpu[0], cpu[1], step, 20*time.Millisecond)
		if err != nil || got.Loops == 0 || what == "" {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		t.Logf("%-48s %.1f ns", what, got.RTTNs)
	}
	for _, step := range []int{-1, len(Steps)} {
		if _, err := MeasureSteps(cpu[0], cpu[1], step, time.Millisecond); err == nil {
			t.Errorf("step %d was measured", step)
		}
	}
}

// both are the CPUs of the two sides: the same twice where there is one.
func both(t *testing.T) []int {
	cpu := usable(t)
	return []int{cpu[0], cpu[len(cpu)-1]}
}

func TestMeasureEndsInBoundedTimeWhenBothSidesShareOneCPU(t *testing.T) {
	cpu := usable(t)[0]
	const d = 20 * time.Millisecond
	start := time.Now()
	got, err := exchange(cpu, cpu, 64, 1, d)
	if took := time.Since(start); took > 10*time.Minute {
		t.Errorf("took %v for a measurement of %v", took, d)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got.Loops == 0 || got.RTTNs < 1000 {
		t.Errorf("%+v: two threads cannot be that fast on one CPU", got)
	}
	t.Logf("%.0f ns, %d round trips", got.RTTNs, got.Loops)
}

func TestMeasureRefusesWhatItCannotDo(t *testing.T) {
	const d = time.Millisecond
	first := usable(t)[0]
	for _, c := range []struct {
		name       string
		a, b, size int
		d          time.Duration
		want       string
	}{
		{"no such first CPU", 1000, first, 0, d, "CPU 1000 does not exist"},
		{"no such second CPU", first, 1001, 0, d, "CPU 1001 does not exist"},
		{"number beyond the mask", first, 1 << 30, 0, d, "does not exist"},
		{"negative CPU", -1, 0, 0, d, "CPU -1 does not exist"},
		{"negative payload", 0, 1, -1, d, "payload of -1 bytes"},
		{"huge payload", 0, 1, MaxExchangeBytes + 1, d, "payload of 1048577 bytes"},
		{"no time", 0, 1, 0, 0, "duration 0s"},
		{"negative time", 0, 1, 0, -d, "duration -1ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Measure(c.a, c.b, c.size, c.d)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestOneCPUForBothSidesIsAnErrorWhereThereAreTwo(t *testing.T) {
	cpu := usable(t)
	_, err := Measure(cpu[0], cpu[0], 0, time.Millisecond)
	refused := err != nil && strings.Contains(err.Error(), fmt.Sprintf("both sides on CPU %d", cpu[0]))
	if refused != (len(cpu) > 1) || err != nil && !refused {
		t.Errorf("%d CPUs: %v", len(cpu), err)
	}
}

func TestMeasureLeavesNoThreadBehind(t *testing.T) {
	cpu := both(t)
	// The Go runtime may start threads of its own, but not one for each measurement.
	const rounds = 40
	before := threads(t)
	for range rounds {
		if _, err := Measure(cpu[0], cpu[1], 0, time.Microsecond); err != nil {
			t.Fatal(err)
		}
	}
	if after := threads(t); after > before+rounds/2 {
		t.Errorf("%d threads before, %d after %d measurements", before, after, rounds)
	}
}

func threads(t *testing.T) int {
	t.Helper()
	list, err := filepath.Glob("/proc/self/task/*")
	if err != nil || len(list) == 0 {
		t.Fatalf("no threads listed: %v", err)
	}
	return len(list)
}

func TestBandwidthMovesWholePassesAndCountsLoads(t *testing.T) {
	const d = 5 * time.Millisecond
	for _, c := range []struct {
		kind         Kind
		bytes        int
		loadsPerPass uint64
	}{
		{KindCopy, 4096, 0},
		{KindCopy, 100, 0},
		{KindWrite, 4096, 0},
		{KindWrite, 65, 0},
		{KindRead, 4096, 256},
		{KindRead, 64, 4},
		{KindRead, 67, 7}, // 4 wide ones and 3 single bytes
		{KindRead, 8, 8},
		{KindRead, 8 << 20, 512 << 10},
	} {
		got, err := Bandwidth(c.kind, c.bytes, d)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		passes := got.Bytes / uint64(c.bytes)
		if passes == 0 || got.Bytes%uint64(c.bytes) != 0 || got.Elapsed < d {
			t.Errorf("%+v: %+v", c, got)
		}
		if got.Loads != passes*c.loadsPerPass {
			t.Errorf("%+v: %d loads in %d passes", c, got.Loads, passes)
		}
	}
}

func TestBandwidthIsOfAPlausibleSize(t *testing.T) {
	// A pass that the compiler removed would show as thousands of GB/s.
	for name, kind := range map[string]Kind{"memcpy": KindCopy, "read": KindRead, "write": KindWrite} {
		for _, bytes := range []int{4 << 10, 64 << 20} {
			moved, err := Bandwidth(kind, bytes, 10*time.Millisecond)
			got := moved.BytesPerSecond()
			if err != nil || got < 1e7 || got > 1e12 {
				t.Errorf("%s of %d bytes: %.3g bytes/s, %v", name, bytes, got, err)
			}
			t.Logf("%s of %d bytes: %.1f GB/s", name, bytes, got/1e9)
		}
	}
}

func TestBandwidthRefusesWhatItCannotDo(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		bytes int
		d     time.Duration
		want  string
	}{
		{KindCopy, 0, time.Millisecond, "buffer of 0 bytes"},
		{KindCopy, -5, time.Millisecond, "buffer of -5 bytes"},
		{KindRead, MaxBandwidthBytes + 1, time.Millisecond, "must be 1 to"},
		{KindWrite, 64, 0, "duration 0s"},
		{Kind(7), 64, time.Millisecond, "kind 7"},
	} {
		_, err := Bandwidth(c.kind, c.bytes, c.d)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c, err, c.want)
		}
	}
}
