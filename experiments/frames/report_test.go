// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"dx/experiments/internal/counters"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/result"
)

// The header lines of the predecessor's files, as its documentation gives them.
var headers = map[string]string{
	"latency_results.csv":       "iteration,host_memcpy_ns,host_memcpy_us,roundtrip_ns,roundtrip_us,guest_memcpy_ns,guest_memcpy_us,guest_verify_ns,guest_verify_us,guest_hot_cache_ns,guest_hot_cache_us,guest_cold_cache_ns,guest_cold_cache_us,guest_second_pass_ns,guest_second_pass_us,guest_cached_verify_ns,guest_cached_verify_us,notification_est_ns,notification_est_us,total_ns,total_us,success",
	"bandwidth_results.csv":     "iteration,frame_type,width,height,bpp,size_bytes,size_mb,host_memcpy_ns,host_memcpy_ms,host_memcpy_mbps,roundtrip_ns,roundtrip_ms,guest_memcpy_ns,guest_memcpy_ms,guest_memcpy_mbps,guest_verify_ns,guest_verify_ms,total_ns,total_ms,total_mbps,success",
	"latency_performance.csv":   "iteration,host_l1_cache_misses,host_l1_cache_references,host_l1_miss_rate,host_llc_misses,host_llc_references,host_llc_miss_rate,host_tlb_misses,host_cpu_cycles,host_instructions,host_ipc,host_cycles_per_byte,host_context_switches,guest_l1_cache_misses,guest_l1_cache_references,guest_l1_miss_rate,guest_llc_misses,guest_llc_references,guest_llc_miss_rate,guest_tlb_misses,guest_cpu_cycles,guest_instructions,guest_ipc,guest_cycles_per_byte,guest_context_switches",
	"bandwidth_performance.csv": "iteration,frame_type,host_l1_cache_misses,host_l1_cache_references,host_l1_miss_rate,host_llc_misses,host_llc_references,host_llc_miss_rate,host_tlb_misses,host_cpu_cycles,host_instructions,host_ipc,host_cycles_per_byte,host_context_switches,guest_l1_cache_misses,guest_l1_cache_references,guest_l1_miss_rate,guest_llc_misses,guest_llc_references,guest_llc_miss_rate,guest_tlb_misses,guest_cpu_cycles,guest_instructions,guest_ipc,guest_cycles_per_byte,guest_context_switches",
}

func TestColumnsAreThePredecessors(t *testing.T) {
	for _, f := range csvFiles() {
		var names []string
		for _, c := range f.columns {
			names = append(names, c.name)
		}
		if got := strings.Join(names, ","); got != headers[f.name] {
			t.Errorf("%s:\n%s\nwant\n%s", f.name, got, headers[f.name])
		}
	}
}

// known is a frame of numbers that are easy to recognise.
func known() *frames.Record {
	r := &frames.Record{Frame: "4K", Width: 3840, Height: 2160, SizeBytes: 24883200, Variant: variantCopy, Iteration: 7, Run: 1, OK: true,
		Direction: result.HostToGuest, Phases: frames.NoPhases}
	r.HostWriteNs, r.ExchangeNs, r.CopyNs, r.VerifyNs, r.TotalNs = 5_000_000, 6_250_000, 6_000_500, 20_000_000, 11_250_000
	r.NotifyNs, r.ReadHotNs, r.ReadColdNs, r.CopyColdNs = 750, 2_000_000, 2_500_000, 7_000_000
	v := counters.Values{}.With(counters.Cycles, 49766400).With(counters.Instructions, 24883200).With(counters.ContextSwitches, 0)
	r.GuestCounters = &v
	return r
}

func TestValuesAreInTheUnitOfTheirColumn(t *testing.T) {
	want := map[string]map[string]string{
		"latency_results.csv": {"iteration": "7", "host_memcpy_ns": "5000000", "host_memcpy_us": "5000", "roundtrip_us": "6250",
			"guest_memcpy_us": "6000.5", "guest_hot_cache_us": "2000", "guest_cold_cache_ns": "2500000", "guest_second_pass_us": "7000",
			"notification_est_ns": "750", "notification_est_us": "0.75", "total_us": "11250", "success": "1"},
		"bandwidth_results.csv": {"frame_type": "4K", "width": "3840", "bpp": "24", "size_bytes": "24883200", "size_mb": "24.8832",
			"host_memcpy_ms": "5", "host_memcpy_mbps": "4976.64", "guest_memcpy_ms": "6.0005", "total_ms": "11.25", "guest_verify_ms": "20"},
		"latency_performance.csv": {"host_cpu_cycles": "", "guest_cpu_cycles": "49766400", "guest_ipc": "0.5", "guest_cycles_per_byte": "2",
			"guest_context_switches": "0", "guest_l1_cache_misses": "", "guest_l1_miss_rate": ""},
		"bandwidth_performance.csv": {"iteration": "7", "frame_type": "4K", "guest_instructions": "24883200"},
	}
	for _, f := range csvFiles() {
		for _, c := range f.columns {
			if value, named := want[f.name][c.name]; named && c.of(known()) != value {
				t.Errorf("%s: %s is %q, want %q", f.name, c.name, c.of(known()), value)
			}
		}
	}
}

func TestFramesThatFailedAreInNoFigure(t *testing.T) {
	bad := known()
	bad.Fail(errors.New("burnt"))
	l := log{records: []frames.Record{*known(), *bad}}
	var text bytes.Buffer
	if err := table(&text, l); err != nil {
		t.Fatal(err)
	}
	c := frames.CellsOf(l.records)[0]
	if got := c.GBps("host_write").Median; got < 4.976 || got > 4.977 || c.Latency("total").Count() != 1 {
		t.Errorf("%v GB/s, %d totals", got, c.Latency("total").Count())
	}
	if !strings.Contains(text.String(), "FAILED: 4K copy host>guest: 1 of 2 frames (burnt)") {
		t.Error(text.String())
	}
}

func TestPercentilesNeedSamples(t *testing.T) {
	var records []frames.Record
	for range 200 {
		records = append(records, *known())
	}
	if text := quantile(frames.CellsOf(records[:199])[0], "notify", 0.5); text != "-" {
		t.Errorf("a median of 199 frames: %s", text)
	}
	c := frames.CellsOf(records)[0]
	if text := quantile(c, "notify", 0.99); text != "-" {
		t.Errorf("p99 of 200 frames: %s", text)
	}
	if text := quantile(c, "notify", 0.5); text != "750ns" {
		t.Error(text)
	}
}

// The verdicts follow from the data, either way.
func TestClaimIsBorneOutOrNotByTheData(t *testing.T) {
	runs := func(read, write, strided, copy frames.Ns) string {
		var records []frames.Record
		for run := 1; run <= 3; run++ {
			r := *known()
			r.Run = run
			r.ReadColdNs, r.WriteColdNs, r.StridedNs, r.CopyColdNs = read, write, strided, copy+frames.Ns(run)
			records = append(records, r)
		}
		return strings.Join(localWrites(frames.CellsOf(records)[0]), "\n")
	}
	loads := frames.Ns(24883200 / 64)
	uncached := runs(600*loads, 2_000_000, 150*loads, 620*loads)
	cached := runs(2_000_000, 3_000_000, 4*loads, 4_000_000)
	slower := runs(2_000_000, 7_000_000, 4*loads, 9_000_000)
	for text, wants := range map[string][]string{
		uncached: {"4.2 is more than any", "the writes are not what is slower", "the region is not cached"},
		cached:   {"4.2 is more than any", "the writes are what is slower", "the region is cached"},
		slower:   {"4.2 is less than any", "the writes are what is slower", "the region is cached"},
	} {
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in:\n%s", want, text)
			}
		}
	}
}
