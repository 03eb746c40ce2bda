// SPDX-License-Identifier: Apache-2.0

package membw

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sysfs writes what the kernel tells: level, type, size of each cache.
func sysfs(t *testing.T, caches ...[3]string) string {
	t.Helper()
	dir := t.TempDir()
	for i, cache := range caches {
		index := filepath.Join(dir, "index"+string(rune('0'+i)))
		if err := os.Mkdir(index, 0o755); err != nil {
			t.Fatal(err)
		}
		for j, name := range []string{"level", "type", "size"} {
			if err := os.WriteFile(filepath.Join(index, name), []byte(cache[j]+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestBuffersFitTheirCacheAndNotTheOneBefore(t *testing.T) {
	for _, c := range []struct {
		name   string
		caches [][3]string
		most   int
		want   []Level
	}{
		{"a desktop", [][3]string{{"1", "Data", "48K"}, {"1", "Instruction", "32K"}, {"2", "Unified", "1M"}, {"3", "Unified", "32M"}}, 1 << 30, []Level{
			{"L1d", 48 << 10, 12 << 10, ""}, {"L2", 1 << 20, 225280, ""}, {"L3", 32 << 20, 5931008, ""}, {Memory, 0, 64 << 20, ""},
		}},
		{"a large shared cache", [][3]string{{"1", "Data", "48K"}, {"2", "Unified", "2048K"}, {"3", "Unified", "491520K"}}, 1 << 30, []Level{
			{"L1d", 48 << 10, 12 << 10, ""}, {"L2", 2 << 20, 319488, ""}, {"L3", 480 << 20, 32485376, ""}, {Memory, 0, 960 << 20, ""},
		}},
		{"little memory", [][3]string{{"1", "Data", "32K"}, {"2", "Unified", "64M"}}, 100 << 20, []Level{
			{"L1d", 32 << 10, 8 << 10, ""}, {"L2", 64 << 20, 1482752, ""},
			{Memory, 0, 100 << 20, "less than 2 times the last cache, which may answer a part"},
		}},
		{"caches alike", [][3]string{{"1", "Data", "256K"}, {"2", "Unified", "512K"}}, 1 << 30, []Level{
			{"L1d", 256 << 10, 64 << 10, ""},
			{"L2", 512 << 10, 128 << 10, "hardly larger than the cache before it, which may answer a part"},
			{Memory, 0, 64 << 20, ""},
		}},
		{"no caches told", nil, 1 << 30, []Level{{Memory, 0, 64 << 20, "this machine does not tell its caches"}}},
	} {
		got, err := caches(sysfs(t, c.caches...))
		if err != nil {
			t.Fatal(err)
		}
		if got := levels(got, c.most); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestASizeThatIsNoneIsAnError(t *testing.T) {
	for _, size := range []string{"", "K", "-1K", "0", "12G", "99999999999M"} {
		if _, err := caches(sysfs(t, [3]string{"1", "Data", size})); err == nil || !strings.Contains(err.Error(), "size") {
			t.Errorf("%q: %v", size, err)
		}
	}
}

func TestHoldingIsTheSmallestCacheThatFits(t *testing.T) {
	list := levels([]Level{{Name: "L1d", CacheBytes: 48 << 10}, {Name: "L2", CacheBytes: 2 << 20}}, 1<<30)
	for bytes, want := range map[int]string{1: "L1d", 48 << 10: "L1d", 48<<10 + 1: "L2", 2 << 20: "L2", 24_883_200: Memory} {
		if got := Holding(list, bytes); got != want {
			t.Errorf("%d bytes: %s", bytes, got)
		}
	}
}

func TestAvailableMemoryIsTheKernelsFigure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	if err := os.WriteFile(path, []byte("MemTotal:  100 kB\nMemAvailable:    2048 kB\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := availableBytes(path); got != 2<<20 {
		t.Errorf("%d", got)
	}
	if got := availableBytes(path + "-missing"); got != 8*memoryBytesMin {
		t.Errorf("%d", got)
	}
}

func TestEveryKindAtEveryLevelIsMeasured(t *testing.T) {
	steps := 0
	b, err := Measure(context.Background(), Options{Runs: 3, Duration: time.Millisecond, BytesMax: 8 << 20,
		Step: func(done, total int, what string) {
			if done != steps || total%9 != 0 || what == "" {
				t.Errorf("step %d of %d: %q", done, total, what)
			}
			steps++
		}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range b {
		t.Logf("%s %s, buffer %d: %.3g to %.3g bytes/s %s", f.Name, f.Kind, f.BufferBytes, f.Min(), f.Max(), f.Note)
		if len(f.Runs) != 3 || f.Min() < 1e7 || f.Max() > 1e12 || f.Median() < f.Min() || f.Median() > f.Max() {
			t.Errorf("%+v", f)
		}
		if got, ok := b.At(f.Name, f.Kind); !ok || !reflect.DeepEqual(got, f) {
			t.Errorf("%s %s is not found", f.Name, f.Kind)
		}
	}
	if steps != 3*len(b) || len(b) != len(Kinds)*len(b.Levels()) {
		t.Errorf("%d steps, %d figures, %d levels", steps, len(b), len(b.Levels()))
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var back Baseline
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, b) {
		t.Errorf("%v: %s", err, text)
	}
	if _, ok := b.At("L9", Read); ok {
		t.Error("there is an L9")
	}
	if f, ok := b.For(1<<40, Copy); !ok || f.Name != Memory {
		t.Errorf("%+v", f)
	}
}

func TestMeasureEndsWithItsContextAndRefusesNegatives(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Measure(ctx, Options{Duration: time.Millisecond, BytesMax: 1 << 20, Step: func(done, _ int, _ string) {
		if done == 4 {
			cancel()
		}
		if done > 4 {
			t.Errorf("step %d after the end", done)
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, o := range []Options{{Runs: -1}, {Duration: -1}, {BytesMax: -1}} {
		if _, err := Measure(context.Background(), o); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
