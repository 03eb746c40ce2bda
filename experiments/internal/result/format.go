// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// FormatSig3 writes a figure with three significant digits; below 0.001 with an exponent, so that
// columns stay narrow: 4.12, 123, 0.0123, 1.26e-4.
func FormatSig3(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	x = round3(x)
	if math.Abs(x) < 1e-3 {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(x, 'e', 2, 64), "e-")
		return mantissa + "e-" + strings.TrimLeft(exponent, "0")
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(x)))))
	return strconv.FormatFloat(x, 'f', decimals, 64)
}

// FormatNs writes nanoseconds with three significant digits and the unit that suits them.
func FormatNs(ns float64) string {
	for _, unit := range []struct {
		ns   float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		// Rounded first, so that 999,999 ns become 1.00 ms and not 1000 µs.
		if round3(math.Abs(ns)) >= unit.ns {
			return FormatSig3(ns/unit.ns) + unit.name
		}
	}
	return strconv.FormatFloat(ns, 'f', 0, 64) + "ns"
}

func round3(x float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 2, 64), 64)
	if err != nil {
		return x
	}
	return rounded
}

// FormatShares writes how waits ended as percentages: spin/yield/park. What is rare but not never
// shows as "<1", and what is usual but not always as ">99".
func FormatShares(w *WaitCounts) string {
	if w == nil {
		return "-"
	}
	spin, yield, park, ok := w.Shares()
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%s/%s/%s", formatPercent(spin), formatPercent(yield), formatPercent(park))
}

func formatPercent(share float64) string {
	switch percent := share * 100; {
	case percent > 0 && percent < 1:
		return "<1"
	case percent > 99 && percent < 100:
		return ">99"
	default:
		return strconv.FormatFloat(percent, 'f', 0, 64)
	}
}

// FormatBytes writes a payload with the SI unit that suits it, and exactly.
func FormatBytes(bytes int) string {
	for _, unit := range []struct {
		bytes int
		name  string
	}{{1e6, "MB"}, {1e3, "kB"}} {
		if bytes >= unit.bytes && bytes%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", bytes/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d B", bytes)
}

// FormatRate writes a rate of calls that was asked for, exactly.
func FormatRate(perS float64) string {
	return strconv.FormatFloat(perS, 'f', -1, 64) + " calls/s"
}
