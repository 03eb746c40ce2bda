// SPDX-License-Identifier: Apache-2.0

package counters

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// all has a count for every event: 1,000 for the first, 2,000 for the second, and so on.
func all() (v Values) {
	for e := range Events {
		v = v.With(e, 1000*uint64(e+1))
	}
	return v
}

func TestCountsAreScaledToTheTimeThatTheyWereEnabled(t *testing.T) {
	for _, c := range []struct {
		r    reading
		want uint64
		ok   bool
	}{
		{reading{1000, 50, 50}, 1000, true},
		{reading{1000, 100, 50}, 2000, true},
		{reading{1000, 100, 25}, 4000, true},
		{reading{3, 3, 2}, 5, true}, // 4.5, rounded
		{reading{0, 100, 50}, 0, true},
		{reading{0, 100, 0}, 0, false},
		{reading{7, 0, 0}, 7, true}, // no time passed, and so none was lost
	} {
		if got, ok := scale(c.r); got != c.want || ok != c.ok {
			t.Errorf("%+v: %d, %v", c.r, got, ok)
		}
	}
}

func TestBetweenTakesDifferencesBeforeItScales(t *testing.T) {
	s := &Set{}
	s.reasons[LLCMisses] = "none here"
	var first, second Sample
	first.readings[Cycles] = reading{5000, 1000, 1000}
	second.readings[Cycles] = reading{6000, 3000, 2000}
	second.readings[Instructions] = reading{0, 2000, 0}
	second.failed[DTLBMisses] = true
	v := s.Between(&first, &second)
	if n, ok := v.Count(Cycles); !ok || n != 2000 || v.CountedShare() != 0.5 {
		t.Errorf("%d cycles, %v, counted %v of the time", n, ok, v.CountedShare())
	}
	for e, want := range map[Event]string{LLCMisses: "none here", Instructions: "registers", DTLBMisses: "not be read"} {
		if _, ok := v.Count(e); ok || !strings.Contains(v.Why(e), want) {
			t.Errorf("%v: %v, %q", e, ok, v.Why(e))
		}
	}
}

func TestRatiosOfKnownNumbers(t *testing.T) {
	v := Values{}.With(L1DMisses, 5).With(L1DReferences, 100).With(LLCMisses, 3).With(LLCReferences, 4).
		With(DTLBMisses, 1).With(DTLBReferences, 1000).With(Cycles, 24_883_200).With(Instructions, 49_766_400).
		With(ContextSwitches, 30)
	for name, c := range map[string]struct {
		got  func() (float64, bool)
		want float64
	}{
		"L1D":             {v.L1DMissRate, 0.05},
		"LLC":             {v.LLCMissRate, 0.75},
		"dTLB":            {v.DTLBMissRate, 0.001},
		"IPC":             {v.IPC, 2},
		"cycles per byte": {func() (float64, bool) { return v.CyclesPerByte(6_220_800) }, 4},
		"per second":      {func() (float64, bool) { return v.PerSecond(ContextSwitches, 2e9) }, 15},
	} {
		if got, ok := c.got(); !ok || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, %v, want %v", name, got, ok, c.want)
		}
	}
}

func TestNothingFollowsFromWhatIsNotKnown(t *testing.T) {
	zero := Values{}.With(Cycles, 0).With(Instructions, 5).With(L1DMisses, 5)
	for name, got := range map[string]func() (float64, bool){
		"IPC of 0 cycles":       zero.IPC,
		"references NA":         zero.L1DMissRate,
		"both NA":               zero.LLCMissRate,
		"no bytes":              func() (float64, bool) { return zero.CyclesPerByte(0) },
		"cycles NA":             func() (float64, bool) { return Values{}.CyclesPerByte(10) },
		"no time":               func() (float64, bool) { return zero.PerSecond(Cycles, 0) },
		"event beyond the list": func() (float64, bool) { return zero.PerSecond(Events, 1) },
	} {
		if x, ok := got(); ok {
			t.Errorf("%s: %v", name, x)
		}
	}
}

func TestASumIsKnownWhereBothAre(t *testing.T) {
	a := all()
	b := Values{}.With(Cycles, 1)
	b.reasons[PageFaults] = "lost"
	sum := a.Plus(b)
	if n, ok := sum.Count(Cycles); !ok || n != 7001 {
		t.Errorf("%d, %v", n, ok)
	}
	for _, v := range []Values{sum, b.Plus(a)} {
		if _, ok := v.Count(PageFaults); ok || v.Why(PageFaults) != "lost" || v.Why(L1DMisses) != "not measured" {
			t.Errorf("%q, %q", v.Why(PageFaults), v.Why(L1DMisses))
		}
	}
}

func TestValuesAreTheSameAfterTheirWayAsText(t *testing.T) {
	some := Values{}.With(ContextSwitches, 3).With(PageFaults, math.MaxUint64)
	for e := range ContextSwitches {
		some.reasons[e] = "this machine has no such counter"
	}
	some.reasons[Cycles] = "another reason"
	scaled := all()
	scaled.counted = 0.25
	for _, v := range []Values{all(), some, scaled} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got Values
		if err := json.Unmarshal(text, &got); err != nil || got != v {
			t.Errorf("%v: %s\ngot  %+v\nwant %+v", err, text, got, v)
		}
	}
	text, err := json.Marshal(some)
	if err != nil || !strings.Contains(string(text), `"cycles":null`) || strings.Contains(string(text), `"cycles":0`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestDamagedTextIsRefused(t *testing.T) {
	for _, text := range []string{`[]`, `{"cycles":-1}`, `{"cycles":"many"}`, `{"na":3}`, `{"counted_share":0}`, `{"counted_share":2}`} {
		var v Values
		if err := json.Unmarshal([]byte(text), &v); err == nil || !strings.Contains(err.Error(), "counters") {
			t.Errorf("%s: %v", text, err)
		}
	}
	var v Values
	if err := json.Unmarshal([]byte(`{"cycles":5,"of a later version":1}`), &v); err != nil || v.Why(PageFaults) != "not measured" {
		t.Errorf("%v, %q", err, v.Why(PageFaults))
	}
}
