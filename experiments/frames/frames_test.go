// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/command"
	"dx/experiments/internal/env"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/membw"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/experiments/internal/result"
)

func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func parsed(t *testing.T, args ...string) config {
	t.Helper()
	c, err := parse(append(args, "-out", t.TempDir()), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// measured runs a configuration and returns what it left.
func measured(t *testing.T, args ...string) (config, log) {
	t.Helper()
	c := parsed(t, args...)
	l, err := runAll(context.Background(), c, env.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

// required are the keys that every line has.
var required = []string{"experiment", "frame", "size_bytes", "variant", "iteration", "host_write_ns", "notify_ns", "read_hot_ns",
	"read_cold_ns", "copy_ns", "verify_ns", "total_ns", "ok", "strided_ns", "memcpy_ns", "acknowledge_ns", "taken_up_ns", "direction", "guest_write_ns"}

func TestEveryFrameIsALineWithAllKeysAndItsOwnNumber(t *testing.T) {
	c, l := measured(t, "-sizes", "64KiB,1MiB", "-frames", "4", "-runs", "2")
	text, err := os.ReadFile(filepath.Join(c.out, result.FileName))
	if err != nil {
		t.Fatal(err)
	}
	iteration, sequences := 0, map[float64]bool{}
	for line := range bytes.Lines(text) {
		var object map[string]any
		if err := json.Unmarshal(line, &object); err != nil {
			t.Fatal(err)
		}
		if object["experiment"] != frames.Frames {
			continue
		}
		iteration++
		if object["iteration"] != float64(iteration) || object["ok"] != true || sequences[object["sequence"].(float64)] {
			t.Errorf("frame %d: %s", iteration, line)
		}
		sequences[object["sequence"].(float64)] = true
		for _, key := range required {
			if _, found := object[key]; !found {
				t.Errorf("no %s in %s", key, line)
			}
		}
	}
	if want := 2 * 2 * 2 * 3 * 4; iteration != want || len(l.records) != want || len(l.firstTouch) != 24 || len(l.memory) != 24 {
		t.Errorf("%d lines, %d records, %d first touches, %d of memory, want %d frames", iteration, len(l.records), len(l.firstTouch), len(l.memory), want)
	}
}

// What a variant does not do has no time, and what it does has one.
func TestPhasesOfEachVariant(t *testing.T) {
	_, l := measured(t, "-sizes", "256KiB", "-frames", "2", "-runs", "1")
	always := []string{"generate", "notify", "exchange", "total", "acknowledge", "verify", "memcpy"}
	also := map[string][]string{
		variantCopy:       {"copy", "read_hot", "read_cold", "strided", "copy_cold", "write_cold"},
		variantZeroCopy:   {"read", "read_hot", "read_cold", "strided"},
		variantOverlapped: {"copy"},
	}
	for _, r := range l.records {
		want := map[string]bool{}
		for _, key := range append(also[r.Variant], always...) {
			want[key] = true
		}
		if r.Variant != variantZeroCopy {
			want["host_write"], want["guest_write"] = r.Direction == result.HostToGuest, r.Direction == result.GuestToHost
		}
		// A host that got no CPU in time has not seen it.
		want["taken_up"] = r.Direction == result.HostToGuest && r.TakenUpNs.Known()
		for _, phase := range frames.PhaseNames {
			if took := r.Took(phase); took.Known() != want[phase] || took == 0 {
				t.Errorf("%s %s: %s is %d", r.Variant, r.Direction, phase, took)
			}
		}
		if r.Variant == variantCopy && (r.ReadBytes != 256<<10 || r.ReadLoads != 16<<10 || r.StridedLoads != 4<<10 || r.HostCounters == nil || r.GuestCounters == nil) {
			t.Errorf("%+v", r)
		}
	}
}

func TestSpoiltFramesFailAndNoOtherOne(t *testing.T) {
	for name := range faults {
		if name == "none" {
			continue
		}
		_, l := measured(t, "-sizes", "64KiB", "-frames", "6", "-runs", "1", "-fault", name, "-fault-each", "3")
		for i, r := range l.records {
			spoilt := i%6 == 2 || i%6 == 5
			if r.OK == spoilt || spoilt != (r.Failure == errWrong.Error()) || spoilt != (r.Phases == frames.NoPhases) {
				t.Errorf("%s: frame %d: %+v", name, i, r)
			}
		}
		for _, c := range frames.CellsOf(l.records) {
			if failed, _ := c.Failures(); c.Good() != 4 || failed != 2 || c.Latency("total").Count() != 4 || len(c.Times("total")) != 4 {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
}

func TestLevelThatHoldsAFrame(t *testing.T) {
	levels := []membw.Level{{Name: "L1d", CacheBytes: 32 << 10}, {Name: "L2", CacheBytes: 1 << 20}, {Name: membw.Memory}}
	for bytes, want := range map[int]string{4 << 10: "L1d", 32 << 10: "L1d", 64 << 10: "L2", 2 << 20: membw.Memory} {
		if got := holding(levels, bytes); got != want {
			t.Errorf("%d bytes fit %q, want %q", bytes, got, want)
		}
	}
	if got := holding(levels[2:], 64); got != "" {
		t.Errorf("no cache is known, but 64 bytes fit %q", got)
	}
}

func TestMemoryIsBoundedByTheRegion(t *testing.T) {
	_, l := measured(t, "-sizes", "1080p", "-frames", "5", "-runs", "1", "-phases", "transfer")
	for _, m := range l.memory {
		room := uint64(m.SizeBytes)
		if m.Variant == variantOverlapped {
			room = uint64(m.RingBytes)
		}
		if m.RegionBytes > room+64<<10 || m.HostGained > 1<<20 || m.GuestGained > 1<<20 {
			t.Errorf("%+v", m)
		}
	}
}

func TestFilesJoinByIterationAndLeaveOutWhatIsUnknown(t *testing.T) {
	c, l := measured(t, "-sizes", "64KiB", "-frames", "3", "-runs", "1", "-fault", "flip", "-fault-each", "2")
	if err := writeCSV(c.out, l.records); err != nil {
		t.Fatal(err)
	}
	rows := map[string][]map[string]string{}
	for _, f := range csvFiles() {
		rows[f.name] = readCSV(t, filepath.Join(c.out, f.name))
		if len(rows[f.name]) != 3 {
			t.Fatalf("%s has %d rows", f.name, len(rows[f.name]))
		}
	}
	for i := range 3 {
		results, performance := rows["latency_results.csv"][i], rows["bandwidth_performance.csv"][i]
		if results["iteration"] != performance["iteration"] || results["iteration"] != strconv.Itoa(i+1) {
			t.Errorf("row %d: %v, %v", i, results, performance)
		}
		if failed := i == 1; failed != (results["success"] == "0") || failed != (results["total_ns"] == "") || failed != (performance["guest_context_switches"] == "") {
			t.Errorf("row %d: %v, %v", i, results, performance)
		}
	}
}

func readCSV(t *testing.T, path string) (rows []map[string]string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func TestInterruptKeepsResultsAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cmd := proctest.Start(t, proctest.Build(t), " left", "-sizes", "1MiB", "-variants", "copy", "-direction", "host-guest", "-baseline=false", "-frames", "200", "-runs", "1000",
		"-transport", "shm", "-out", dir)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	children := proctest.Children(t, cmd.Process.Pid)
	if code := exitCode(cmd.Wait()); code != command.Interrupted {
		t.Errorf("exit code %d", code)
	}
	for _, child := range children {
		proctest.Gone(t, child)
	}
	if left, _ := filepath.Glob("/dev/shm/dx-frames-" + strconv.Itoa(cmd.Process.Pid)); len(left) != 0 {
		t.Errorf("left in shared memory: %v", left)
	}
	if rows := readCSV(t, filepath.Join(dir, "bandwidth_results.csv")); len(rows) == 0 {
		t.Errorf("%d frames kept", len(rows))
	}
	for _, name := range []string{result.FileName, "table.txt", "environment.json"} {
		if s, err := os.Stat(filepath.Join(dir, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGuestThatDiesEndsItsCellAndNoOtherOne(t *testing.T) {
	dir := t.TempDir()
	cmd := proctest.Start(t, proctest.Build(t), `\(0 of`, "-sizes", "1MiB", "-variants", "copy", "-direction", "host-guest", "-baseline=false", "-phases", "transfer",
		"-frames", "60", "-runs", "2", "-out", dir)
	var guests []int
	for deadline := time.Now().Add(time.Minute); len(guests) == 0 && time.Now().Before(deadline); {
		guests = proctest.Children(t, cmd.Process.Pid)
	}
	if len(guests) == 0 {
		t.Fatal("no guest")
	}
	if err := unix.PidfdSendSignal(guests[0], unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(cmd.Wait()); code != command.Failed {
		t.Errorf("exit code %d", code)
	}
	rows := readCSV(t, filepath.Join(dir, "bandwidth_results.csv"))
	if last := rows[len(rows)-1]; len(rows) >= 120 || len(rows) < 60 || last["success"] != "1" {
		t.Errorf("%d frames, the last one %v", len(rows), last)
	}
}

func TestWrongFlagsAreSaidBeforeAnythingIsMeasured(t *testing.T) {
	for args, want := range map[string]string{
		"-sizes 5K":                  "-sizes",
		"-sizes 100":                 "steps of 64",
		"-sizes 1MiB..64KiB":         "smaller to a larger",
		"-variants teleport":         "-variants",
		"-ring 1KiB":                 "-ring",
		"-chunk 0":                   "-chunk",
		"-wait nonsense":             "-wait",
		"-fault all":                 "-fault",
		"-frames 0":                  "-frames 0: 1 to",
		"-transport pigeon":          "-transport",
		"-timeout 1ns":               "-timeout",
		"more":                       "not a flag",
		"-direction up":              "-direction",
		"-phases most":               "-phases",
		"-sizes 4K -fault-each 0":    "-fault-each",
		"-sizes 4KiB..512MiB -pin x": "-pin",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	sizes, err := parseSizes("1080p, 4k,4KiB..64MiB,24883200B")
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, s := range sizes {
		got = append(got, s.bytes)
	}
	want := []int{6220800, 24883200, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 24883200}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("size %d is %d, want %d", i, got[i], want[i])
		}
	}
	if picture := sizes[1]; picture.name != "4K" || picture.width != 3840 || picture.height != 2160 {
		t.Error(picture)
	}
}
