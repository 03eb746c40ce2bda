// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"

	"dx/experiments/internal/frame"
	"dx/experiments/internal/frames"
	"dx/experiments/internal/result"
)

// waitsRecord says how the waits of both sides ended in a run of a cell, while the
// frames that count were made, handed over, verified and passed over: a line of
// result.jsonl. It proves, or refutes, that a side was spinning.
type waitsRecord struct {
	Experiment string           `json:"experiment"` // frames_waits
	Run        int              `json:"run"`
	Frame      string           `json:"frame"`
	SizeBytes  int              `json:"size_bytes"`
	Variant    string           `json:"variant"`
	Direction  result.Direction `json:"direction"`
	RingBytes  int              `json:"ring_bytes,omitempty"`
	ChunkBytes int              `json:"chunk_bytes,omitempty"`
	Wait       string           `json:"wait"`
	Host       frame.Waits      `json:"host"`
	Guest      frame.Waits      `json:"guest"`
}

func (r *runner) waits(p *pair, run int, hostBefore, guestBefore frame.Waits) error {
	host, guest, err := p.host.Waits()
	if err != nil {
		return err
	}
	c := p.cell
	w := waitsRecord{"frames_waits", run, c.size.name, c.size.bytes, c.variant, c.direction, c.ring, c.chunk,
		r.c.waitName, host.Minus(hostBefore), guest.Minus(guestBefore)}
	r.log.waits = append(r.log.waits, w)
	return r.out.WriteLine(w)
}

// waitsTable writes how waits ended, over all runs, and what regime that is.
func waitsTable(text *bytes.Buffer, records []waitsRecord) {
	type key struct {
		frame, name, wait string
	}
	var order []key
	host, guest := map[key]frame.Waits{}, map[key]frame.Waits{}
	for _, r := range records {
		k := key{r.Frame, nameOf(frames.Key{Variant: r.Variant, Direction: r.Direction, RingBytes: r.RingBytes, ChunkBytes: r.ChunkBytes}), r.Wait}
		if _, found := host[k]; !found {
			order = append(order, k)
		}
		host[k], guest[k] = host[k].Plus(r.Host), guest[k].Plus(r.Guest)
	}
	if len(order) == 0 {
		return
	}
	aligned(text, "How waits ended, by the channel's own counters: spinning, after a yield, after a park was begun", func(w io.Writer) {
		fmt.Fprintln(w, "frame\tvariant\t-wait\thost: spin\tyield\tpark\tguest: spin\tyield\tpark\thost was\tguest was\t")
		for _, k := range order {
			h, g := host[k], guest[k]
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", k.frame, k.name, k.wait,
				h.Spin, h.Yield, h.Park, g.Spin, g.Yield, g.Park, regime(h), regime(g))
		}
	})
}

// regime is what the counters show, whatever the strategy is called.
func regime(w frame.Waits) string {
	switch {
	case w.Total() == 0:
		return "not waiting"
	case w.Park > 0:
		return fmt.Sprintf("parking (%s)", percent(float64(w.Park)/float64(w.Total())))
	case w.Yield > 0:
		return "spinning, yielding"
	}
	return "spinning"
}
