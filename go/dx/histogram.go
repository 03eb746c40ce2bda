// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"math/bits"
	"sync/atomic"
	"time"

	"dx/go/internal/spin"
	"dx/libdx"
)

// HistogramBuckets is how many buckets a Histogram has.
const HistogramBuckets = 1152

// Histogram is what dx_histogram.h explains: how long calls, handlers and wake-ups took since
// histograms were switched on, by [SwitchHistograms] or "dx histogram URL on".
type Histogram struct {
	Count    uint64    // times that were measured
	SumNs    uint64    // all of them together
	MaxNs    uint64    // the longest, exact
	Reserved [5]uint64 // zero
	// Counts[i] are those from HistogramFrom(i) to below HistogramFrom(i+1).
	Counts [HistogramBuckets]uint64
}

// Value is the time that a percentage (0 to 100) of them does not exceed, within 1.6 %; 0 if nothing
// was measured.
func (h *Histogram) Value(percentile float64) time.Duration {
	return time.Duration(libdx.HistogramValue((*libdx.Histogram)(h), percentile))
}

// HistogramFrom is the shortest time of a bucket.
func HistogramFrom(bucket int) time.Duration { return time.Duration(libdx.HistogramFrom(bucket)) }

// HistogramOf says which histograms.
type HistogramOf int

// The values. Wake-ups are those of C threads in calls and in dx_serve; the callers of a Go program sleep
// together, in the last one of their side.
const (
	HostCalls     HistogramOf = libdx.HistogramHostCalls     // round trips; one for each slot
	GuestHandlers HistogramOf = libdx.HistogramGuestHandlers // one for each serving thread or worker
	GuestCalls    HistogramOf = libdx.HistogramGuestCalls
	HostHandlers  HistogramOf = libdx.HistogramHostHandlers
	HostWakes     HistogramOf = libdx.HistogramHostWakes // of slots, then of serving threads, then one more
	GuestWakes    HistogramOf = libdx.HistogramGuestWakes
)

// SwitchHistograms switches those of a region on or off from any process of its user, as
// dx_histogram_switch does: every call is measured if every is 1, one in so many if it is more, none
// if it is 0. place is 0 where the host serves one guest.
func SwitchHistograms(url string, place, every int) error {
	if place < 0 || every < 0 || uint64(every) > 1<<32-1 {
		return newError(libdx.ErrInvalid, "histograms of place %d, one call in %d", place, every)
	}
	return ours(libdx.SwitchHistograms(url, uint32(place), uint32(every)))
}

// HistogramEvery says how often is measured: 0 for never, 1 for every call.
func (ch *Channel) HistogramEvery() int {
	if ch.enter() != nil {
		return 0
	}
	defer func() { _ = ch.leave() }()
	return int(ch.raw.HistogramEvery())
}

// Histogram sums the histograms of a kind. They lie in the region, so that both sides and observers
// can read them all.
func (ch *Channel) Histogram(of HistogramOf) (*Histogram, error) { return ch.histogram(of, -1) }

// HistogramAt reads one of them, by its number among those of its kind.
func (ch *Channel) HistogramAt(of HistogramOf, index int) (*Histogram, error) {
	if index < 0 {
		return nil, newError(libdx.ErrInvalid, "histogram %d", index)
	}
	return ch.histogram(of, index)
}

func (ch *Channel) histogram(of HistogramOf, index int) (*Histogram, error) {
	if err := ch.enter(); err != nil {
		return nil, err
	}
	defer func() { _ = ch.leave() }()
	h := new(Histogram)
	if err := ch.raw.ReadHistogram(int(of), index, (*libdx.Histogram)(h)); err != nil {
		return nil, ours(err)
	}
	return h, nil
}

// Histogram sums the histograms of a kind.
func (o *Observer) Histogram(of HistogramOf) (*Histogram, error) { return o.ch.Histogram(of) }

// HistogramAt reads one of them, by its number among those of its kind.
func (o *Observer) HistogramAt(of HistogramOf, index int) (*Histogram, error) {
	return o.ch.HistogramAt(of, index)
}

// HistogramEvery says how often is measured.
func (o *Observer) HistogramEvery() int { return o.ch.HistogramEvery() }

// recorder is one who measures: struct dx_recorder in Go.
type recorder struct {
	control uint64 // the switch at which the rest was found
	lines   *libdx.HistogramLines
	scale   uint64 // of ticks; 0: they are ns
	left    uint32 // until the next that is measured
	// unscaled counts the times that were measured without a scale.
	unscaled uint32
}

// stamp is when something began, by the clock of that moment.
type stamp struct{ ticks, scale uint64 }

// measures says whether a word of the switch measures at all.
func measures(control uint64) bool { return uint32(control) != 0 }

func (ch *Channel) histogramSwitch() uint64 { return atomic.LoadUint64(ch.switches) }

// skips says whether this is one of those that are not measured, and counts it.
func (r *recorder) skips(control uint64) bool {
	if r.control != control || r.left <= 1 {
		return false
	}
	r.left--
	return true
}

// due says whether this one is to be measured, by a switch that measures.
func (r *recorder) due(ch *Channel, control uint64, handler bool, number uint32) bool {
	if r.control != control {
		r.lines, r.scale = ch.raw.FindHistogram(control, handler, number)
		r.control, r.left = control, 1
	}
	if r.lines == nil {
		return false
	}
	if r.left--; r.left != 0 {
		return false
	}
	r.left = uint32(control)
	if r.scale == 0 {
		if r.unscaled++; r.unscaled%libdx.Unscaled == 0 {
			_, r.scale = ch.raw.FindHistogram(control, handler, number)
		}
	}
	return true
}

var started = time.Now()

func ticks(scale uint64) uint64 {
	if scale != 0 {
		return spin.Ticks()
	}
	return uint64(time.Since(started))
}

func (r *recorder) now() stamp { return stamp{ticks(r.scale), r.scale} }

// add measures the time since then.
func (r *recorder) add(began stamp) {
	ns := ticks(began.scale) - began.ticks
	if int64(ns) < 0 {
		ns = 0
	}
	if began.scale != 0 {
		high, low := bits.Mul64(ns, began.scale)
		ns = high<<32 | low>>32
	}
	l := r.lines
	l.Counts[bucketOf(ns)]++
	l.SumNs += ns
	l.MaxNs = max(l.MaxNs, ns)
}

// handlerClock measures the handlers of one serving goroutine.
type handlerClock struct {
	recorder
	runs  bool // for the handler that runs
	began stamp
}

// begin notes when a handler begins that is to be measured.
func (h *handlerClock) begin(s *server, control uint64) {
	if h.runs = h.due(s.ch, control, true, s.index); h.runs {
		h.began = h.now()
	}
}

func (h *handlerClock) end() {
	if h.runs {
		h.runs = false
		h.add(h.began)
	}
}

// bucketOf is dx_histogram_bucket.
func bucketOf(ns uint64) uint {
	if ns < 64 {
		return uint(ns)
	}
	octave := uint(bits.Len64(ns)) - 1
	if octave > 39 {
		return HistogramBuckets - 1
	}
	return 64 + (octave-6)*32 + uint(ns>>(octave-5))&31
}
