// SPDX-License-Identifier: Apache-2.0

package membw

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/floor"
)

// Memory is the name of the level behind the last cache.
const Memory = "memory"

// Level is a place that data comes from: a cache, or memory.
type Level struct {
	// Name is L1d, L2, L3, or memory.
	Name string `json:"level"`
	// CacheBytes is the size of that cache as the kernel knows it, which in a VM may be more than this
	// VM's share; 0 for memory.
	CacheBytes int `json:"cache_bytes"`
	// BufferBytes is the size of the buffers that are used to measure it.
	BufferBytes int `json:"buffer_bytes"`
	// Note says why the buffer may not be what it should; empty if it is.
	Note string `json:"note,omitempty"`
}

const (
	pageBytes = 4096
	// memoryBytesMin is beyond most caches; memoryTimes is how often the last one must fit.
	memoryBytesMin = 64 << 20
	memoryTimes    = 2
)

// Levels returns the data caches of a CPU and the memory behind them, with a size of buffer for
// each that its two buffers fit in and that the caches before it do not hold. No buffer is larger
// than bytesMax; 0 stands for an eighth of the memory that is free.
func Levels(cpu, bytesMax int) ([]Level, error) {
	dir := fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cache", cpu)
	caches, err := caches(dir)
	if err != nil {
		return nil, err
	}
	if bytesMax == 0 {
		bytesMax = availableBytes("/proc/meminfo") / 8
	}
	return levels(caches, min(bytesMax, floor.MaxBandwidthBytes)), nil
}

// caches reads what the kernel tells about one CPU, smallest first.
func caches(dir string) (list []Level, err error) {
	indices, err := filepath.Glob(filepath.Join(dir, "index[0-9]*"))
	if err != nil {
		return nil, err
	}
	for _, index := range indices {
		text := func(name string) string {
			content, _ := os.ReadFile(filepath.Join(index, name))
			return strings.TrimSpace(string(content))
		}
		kind := text("type")
		if kind != "Data" && kind != "Unified" {
			continue
		}
		bytes, err := parseSize(text("size"))
		if err != nil {
			return nil, fmt.Errorf("membw: %s/size: %w", index, err)
		}
		name := "L" + text("level")
		if kind == "Data" {
			name += "d"
		}
		list = append(list, Level{Name: name, CacheBytes: bytes})
	}
	slices.SortFunc(list, func(a, b Level) int { return a.CacheBytes - b.CacheBytes })
	return list, nil
}

// parseSize reads the kernel's 48K or 2M.
func parseSize(text string) (bytes int, err error) {
	unit := 1
	switch {
	case strings.HasSuffix(text, "K"):
		unit = 1 << 10
	case strings.HasSuffix(text, "M"):
		unit = 1 << 20
	}
	number, err := strconv.Atoi(strings.TrimRight(text, "KM"))
	if err != nil || number <= 0 || number > 1<<30 {
		return 0, fmt.Errorf("%q is no size of a cache", text)
	}
	return number * unit, nil
}

// levels chooses the buffers: a quarter of the cache at most, so that two of them and what else
// runs fit in; between this cache and the one before on a logarithmic scale if that is less, because
// the far end of a large shared cache is what others use.
func levels(caches []Level, bytesMax int) []Level {
	var list []Level
	before := 0
	for _, level := range caches {
		bytes := level.CacheBytes / 4
		if before > 0 {
			bytes = min(bytes, int(math.Sqrt(float64(before)*float64(level.CacheBytes))))
		}
		level.BufferBytes = max(min(bytes, bytesMax)/pageBytes, 1) * pageBytes
		if level.BufferBytes <= before {
			level.Note = "hardly larger than the cache before it, which may answer a part"
		}
		list = append(list, level)
		before = level.CacheBytes
	}
	wanted := max(memoryTimes*before, memoryBytesMin)
	memory := Level{Name: Memory, BufferBytes: max(min(wanted, bytesMax)/pageBytes, 1) * pageBytes}
	switch {
	case before == 0:
		memory.Note = "this machine does not tell its caches"
	case memory.BufferBytes < memoryTimes*before:
		memory.Note = fmt.Sprintf("less than %d times the last cache, which may answer a part", memoryTimes)
	}
	return append(list, memory)
}

// availableBytes is what the kernel thinks can be had without swapping; little if it does not say.
func availableBytes(path string) int {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemAvailable:" {
			if kib, err := strconv.Atoi(fields[1]); err == nil {
				return kib << 10
			}
		}
	}
	return 8 * memoryBytesMin
}

// Holding returns the name of the smallest level whose cache holds that many bytes.
func Holding(levels []Level, bytes int) string {
	for _, level := range levels {
		if level.CacheBytes >= bytes {
			return level.Name
		}
	}
	return Memory
}
