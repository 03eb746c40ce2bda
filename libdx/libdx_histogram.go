// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package libdx

/*
#include <stdlib.h>
#include "dx.h"
#include "dx_native.h"

_Static_assert(DX_HISTOGRAM_BUCKETS == 1152 && sizeof(struct dx_histogram) == 8 * (8 + 1152),
               "as Histogram has it");
*/
import "C"

import "unsafe"

// Switches is dx_native_switches.
func (ch Channel) Switches() *uint64 { return (*uint64)(C.dx_native_switches(ch.c)) }

// FindHistogram is dx_native_histogram; its lines are nil where there are none.
func (ch Channel) FindHistogram(control uint64, handler bool, number uint32) (*HistogramLines, uint64) {
	var h C.struct_dx_native_histogram
	C.dx_native_histogram(ch.c, C.uint64_t(control), C.bool(handler), C.uint32_t(number), &h)
	return (*HistogramLines)(h.lines), uint64(h.scale)
}

// Woken is dx_native_woken.
func (ch Channel) Woken(cell uint32, asleepNs int64) {
	C.dx_native_woken(ch.c, C.uint32_t(cell), C.int64_t(asleepNs))
}

// HistogramEvery is dx_histogram_every.
func (ch Channel) HistogramEvery() uint32 { return uint32(C.dx_histogram_every(ch.c)) }

// ReadHistogram is dx_histogram_read, or for an index of 0 or more dx_histogram_read_one.
func (ch Channel) ReadHistogram(of, index int, h *Histogram) error {
	return checked(func() C.dx_status {
		out := (*C.struct_dx_histogram)(unsafe.Pointer(h))
		if index < 0 {
			return C.dx_histogram_read(ch.c, C.enum_dx_histogram_of(of), out)
		}
		return C.dx_histogram_read_one(ch.c, C.enum_dx_histogram_of(of), C.uint32_t(index), out)
	})
}

// SwitchHistograms is dx_histogram_switch.
func SwitchHistograms(url string, place, every uint32) error {
	text := C.CString(url)
	defer C.free(unsafe.Pointer(text))
	return checked(func() C.dx_status {
		return C.dx_histogram_switch(text, C.uint32_t(place), C.uint32_t(every))
	})
}

// HistogramFrom is dx_histogram_from.
func HistogramFrom(bucket int) uint64 { return uint64(C.dx_histogram_from(C.uint32_t(bucket))) }

// HistogramValue is dx_histogram_value.
func HistogramValue(h *Histogram, percentile float64) uint64 {
	return uint64(C.dx_histogram_value((*C.struct_dx_histogram)(unsafe.Pointer(h)), C.double(percentile)))
}
