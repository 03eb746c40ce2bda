// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"

	"dx/experiments/internal/frames"
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
	all := frames.CellsOf(l.records)
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

func transfers(text *bytes.Buffer, all []*frames.Cell) {
	aligned(text, "Handing a frame over (GB/s)", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tfits\tvariant\tgood\tfailed\tnotify p50\tp99\twrite\treceive\ttotal\tp50\tmemcpy\tof memcpy\tA/A\t")
		for _, c := range all {
			failed, _ := c.Failures()
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Frame, cmp.Or(c.Records[0].CacheLevel, "-"), nameOf(c.Key), c.Good(), failed,
				quantile(c, "notify", 0.5), quantile(c, "notify", 0.99),
				c.Written().Short(), c.Received().Short(), c.GBps("total"), quantile(c, "total", 0.5),
				c.GBps("memcpy").Short(), c.Ratio("memcpy", "total"), percent(c.Spread("memcpy")))
		}
	})
}

// nameOf tells cells of one frame apart.
func nameOf(k frames.Key) string {
	name := k.Variant + " host>guest"
	if k.Direction == result.GuestToHost {
		name = k.Variant + " guest>host"
	}
	if k.RingBytes > 0 {
		name += " " + setting(k.RingBytes, k.ChunkBytes)
	}
	return name
}

func isolatedTable(text *bytes.Buffer, all []*frames.Cell) {
	if !slices.ContainsFunc(all, func(c *frames.Cell) bool { return c.Rate("read_cold").Known() }) {
		return
	}
	aligned(text, "The receiver's passes by themselves (GB/s; strided in ns per load)", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tvariant\tread hot\tread cold\tstrided cold\tcopy cold\twrite cold\tSHA-256\t")
		for _, c := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", c.Frame, nameOf(c.Key), c.GBps("read_hot"),
				c.GBps("read_cold"), c.PerLoad(), c.GBps("copy_cold"), c.GBps("write_cold"), c.GBps("verify").Short())
		}
	})
}

func firstTouchTable(text *bytes.Buffer, records []frames.Record) {
	if len(records) == 0 {
		return
	}
	aligned(text, "The first frame in memory that nobody has touched: page faults included, not part of the figures above (GB/s)", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tvariant\twrite\treceive\ttotal\t")
		for _, c := range frames.CellsOf(records) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", c.Frame, nameOf(c.Key), c.Written(), c.Received(), c.GBps("total"))
		}
	})
}

func notes(text *bytes.Buffer, all []*frames.Cell, memory []memoryRecord) {
	for _, c := range all {
		if failed, first := c.Failures(); failed > 0 {
			fmt.Fprintf(text, "FAILED: %s %s: %d of %d frames (%s); they are in no figure\n", c.Frame, nameOf(c.Key), failed,
				len(c.Records), first)
		}
		for _, line := range localWrites(c) {
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

func quantile(c *frames.Cell, phase string, q float64) string {
	ns, ok := c.Latency(phase).Quantile(q)
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
