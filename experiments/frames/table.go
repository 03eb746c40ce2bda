// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"dx/experiments/internal/result"
)

const legend = `A figure is the median of the runs, with the slowest and the fastest run; of each run the sum of bytes over the sum of time.
GB is 10^9 bytes. p50 and p99 are over all frames; - where they are fewer than 100/(1-p).
fits       the smallest cache that holds the frame, as the kernel tells sizes (in a virtual machine the last one is shared with others)
notify     an exchange that carries nothing, by itself, there and back
write      sender's memory to region; receive: copy out of it, or read in place; both with caches as they are
total      host>guest: from the first byte written to the acknowledgement; guest>host: from the host's asking to its last byte
of memcpy  speed of the total / speed of one memcpy of the same bytes by the sender, in the same run
A/A        (fastest - slowest) / median of that memcpy: differences below it say nothing
hot, cold  every byte is loaded, after a pass that is not timed or flushed before; strided: one load of 8 bytes in each line of 64
`

// table writes everything for people.
func table(w io.Writer, l log) error {
	var text bytes.Buffer
	all := summarise(l.records)
	transfers(&text, all)
	isolatedTable(&text, all)
	firstTouchTable(&text, l.firstTouch)
	waitsTable(&text, l.waits)
	notes(&text, all, l.memory)
	text.WriteString(legend)
	_, err := w.Write(text.Bytes())
	return err
}

func aligned(text *bytes.Buffer, title string, write func(w io.Writer)) {
	fmt.Fprintf(text, "%s\n", title)
	w := tabwriter.NewWriter(text, 0, 0, 2, ' ', tabwriter.AlignRight)
	write(w)
	w.Flush() // a bytes.Buffer takes everything
	text.WriteByte('\n')
}

func transfers(text *bytes.Buffer, all []*summary) {
	aligned(text, "Handing a frame over (GB/s)", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tfits\tvariant\tgood\tfailed\tnotify p50\tp99\twrite\treceive\ttotal\tp50\tmemcpy\tof memcpy\tA/A\t")
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", s.frame, cmp.Or(s.level, "-"), s.name(), s.good, s.failed,
				s.formatQuantile("notify_ns", 0.5), s.formatQuantile("notify_ns", 0.99),
				s.write().short(), s.receive().short(), s.gbps("total_ns"), s.formatQuantile("total_ns", 0.5),
				s.gbps("memcpy_ns").short(), s.times("memcpy_ns", "total_ns"), percent(s.spread()))
		}
	})
}

// name tells cells of one frame apart.
func (s *summary) name() string {
	way := " host>guest"
	if s.direction == result.GuestToHost {
		way = " guest>host"
	}
	if s.setting == "" {
		return s.variant + way
	}
	return s.variant + way + " " + s.setting
}

// write is what the sender does with the frame.
func (s *summary) write() span {
	if s.direction == result.GuestToHost {
		return s.gbps("guest_write_ns")
	}
	return s.gbps("host_write_ns")
}

// receive is what the receiver does with it.
func (s *summary) receive() span {
	if copied := s.gbps("copy_ns"); copied.known() {
		return copied
	}
	return s.gbps("read_ns")
}

func isolatedTable(text *bytes.Buffer, all []*summary) {
	measured := false
	for _, s := range all {
		measured = measured || s.gbps("read_cold_ns").known()
	}
	if !measured {
		return
	}
	aligned(text, "The receiver's passes by themselves (GB/s; strided in ns per load)", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tvariant\tread hot\tread cold\tstrided cold\tcopy cold\twrite cold\tSHA-256\t")
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", s.frame, s.name(), s.gbps("read_hot_ns"),
				s.gbps("read_cold_ns"), s.perLoad(), s.gbps("copy_cold_ns"), s.gbps("write_cold_ns"),
				s.gbps("verify_ns").short())
		}
	})
}

func firstTouchTable(text *bytes.Buffer, records []Record) {
	if len(records) == 0 {
		return
	}
	aligned(text, "The first frame in memory that nobody has touched: page faults included, not part of the figures above (GB/s)", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tvariant\twrite\treceive\ttotal\t")
		for _, s := range summarise(records) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", s.frame, s.name(), s.write(), s.receive(), s.gbps("total_ns"))
		}
	})
}

func notes(text *bytes.Buffer, all []*summary, memory []memoryRecord) {
	for _, s := range all {
		if s.failed > 0 {
			fmt.Fprintf(text, "FAILED: %s %s: %d of %d frames (%s); they are in no figure\n", s.frame, s.name(), s.failed,
				s.good+s.failed, s.firstFailure)
		}
		for _, line := range s.localWrites() {
			fmt.Fprintln(text, line)
		}
	}
	var host, guest int64 = math.MinInt64, math.MinInt64
	for _, m := range memory {
		host, guest = max(host, m.HostGained), max(guest, m.GuestGained)
	}
	if len(memory) > 0 {
		fmt.Fprintf(text, "memory: beside the region and the buffers for frames the host gained %s and the guest %s at the most\n",
			formatKiB(host), formatKiB(guest))
	}
	text.WriteByte('\n')
}

// String writes median [low-high].
func (s span) String() string {
	if !s.known() {
		return "-"
	}
	if s.low == s.high {
		return s.short()
	}
	return fmt.Sprintf("%s [%s-%s]", result.FormatSig3(s.median), result.FormatSig3(s.low), result.FormatSig3(s.high))
}

func (s span) short() string {
	if !s.known() {
		return "-"
	}
	return result.FormatSig3(s.median)
}

func (s *summary) formatQuantile(of phaseKey, q float64) string {
	ns, ok := s.quantile(of, q)
	if !ok {
		return "-"
	}
	return result.FormatNs(float64(ns))
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

func formatKiB(bytes int64) string {
	return fmt.Sprintf("%d KiB", bytes/1024)
}
