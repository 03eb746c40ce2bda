// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"math"
	"testing"
	"time"
)

func TestTimesAreKeptToElevenBinaryDigits(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 70, 2047, 2048, 123456, 987654321, time.Minute, time.Hour} {
		var times, merged Times
		times.Record(d)
		merged.Merge(&times)
		merged.Merge(&times)
		merged.Merge(new(Times))
		want := float64(min(d, 1<<37-1))
		if pairs := merged.Pairs(); len(pairs) != 1 || pairs[0][1] != 2 || math.Abs(float64(pairs[0][0])-want) > want/1024 {
			t.Errorf("%v: %v", d, pairs)
		}
	}
	if pairs := new(Times).Pairs(); pairs != nil {
		t.Error(pairs)
	}
}

func TestAnOrderIsReadAsItWasWritten(t *testing.T) {
	for _, o := range []Order{{Duration: time.Second}, {Duration: 5, Timed: true}, {Duration: 7, RatePerS: 12345.5, NoCalls: true}} {
		if got, err := parseOrder(o.String()); err != nil || got != o {
			t.Errorf("%v: %v, %v", o, got, err)
		}
	}
	for _, wrong := range []string{"", "1 2", "x 0 0 0"} {
		if _, err := parseOrder(wrong); err == nil {
			t.Errorf("%q is taken for an order", wrong)
		}
	}
}
