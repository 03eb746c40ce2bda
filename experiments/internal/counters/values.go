// SPDX-License-Identifier: Apache-2.0

package counters

import (
	"encoding/json"
	"fmt"
	"math"
)

// Values are what happened between two samples. The zero Values has every event NA.
type Values struct {
	counts  [Events]uint64
	known   [Events]bool
	reasons [Events]string
	// counted is the smallest share of the time for which a known event was really counted, 0 if
	// that is not known. Less than 1 means that counts were scaled up.
	counted float64
}

// Since returns what happened since the sample before, which the same Set took.
func (s *Set) Since(before Sample) Values {
	now := s.Sample()
	return s.Between(&before, &now)
}

// Between returns what happened from the first sample to the second, which the same Set took.
func (s *Set) Between(first, second *Sample) (v Values) {
	v.counted = 1
	for e := range Events {
		if s.reasons[e] != "" {
			v.reasons[e] = s.reasons[e]
			continue
		}
		if first.failed[e] || second.failed[e] {
			v.reasons[e] = "the counter could not be read"
			continue
		}
		a, b := first.readings[e], second.readings[e]
		delta := reading{b.count - a.count, b.enabledNs - a.enabledNs, b.runningNs - a.runningNs}
		count, ok := scale(delta)
		if !ok {
			v.reasons[e] = "other counters had the processor's registers all the time"
			continue
		}
		v.counts[e], v.known[e] = count, true
		if delta.enabledNs > 0 {
			v.counted = min(v.counted, float64(delta.runningNs)/float64(delta.enabledNs))
		}
	}
	return v
}

// scale extends a count to the whole time, if the kernel let groups take turns: a processor has
// fewer registers than there are events. It is not ok if the event was never counted.
func scale(r reading) (count uint64, ok bool) {
	switch {
	case r.runningNs == r.enabledNs:
		return r.count, true
	case r.runningNs == 0:
		return 0, false
	}
	return uint64(math.Round(float64(r.count) * (float64(r.enabledNs) / float64(r.runningNs)))), true
}

// Count returns how often the event happened, scaled; it is not ok if the event is NA.
func (v Values) Count(e Event) (count uint64, ok bool) {
	if e < 0 || e >= Events {
		return 0, false
	}
	return v.counts[e], v.known[e]
}

// Why returns why an event is NA, "" if it is not.
func (v Values) Why(e Event) string {
	if e < 0 || e >= Events || v.known[e] {
		return ""
	}
	if v.reasons[e] == "" {
		return "not measured"
	}
	return v.reasons[e]
}

// CountedShare returns the smallest share of the time, from 0 to 1, for which a known event was really
// counted; below 1 counts are estimates.
func (v Values) CountedShare() float64 { return v.counted }

// Plus returns the sum of both; what is NA in one of them is NA in the sum.
func (v Values) Plus(other Values) Values {
	sum := Values{counted: min(v.counted, other.counted)}
	for e := range Events {
		if sum.known[e] = v.known[e] && other.known[e]; sum.known[e] {
			sum.counts[e] = v.counts[e] + other.counts[e]
		} else if sum.reasons[e] = v.Why(e); v.known[e] {
			sum.reasons[e] = other.Why(e)
		}
	}
	return sum
}

// With returns v with a count for the event: for values that come from elsewhere.
func (v Values) With(e Event, count uint64) Values {
	v.counts[e], v.known[e], v.reasons[e] = count, true, ""
	if v.counted == 0 {
		v.counted = 1
	}
	return v
}

// MarshalJSON writes an object with a number or null for each event, counted_share if counts were
// scaled, and na: for each reason the events that are NA for it.
func (v Values) MarshalJSON() ([]byte, error) {
	object := map[string]any{}
	na := map[string][]string{}
	for e := range Events {
		if v.known[e] {
			object[e.String()] = v.counts[e]
			continue
		}
		object[e.String()] = nil
		na[v.Why(e)] = append(na[v.Why(e)], e.String())
	}
	if len(na) > 0 {
		object["na"] = na
	}
	if v.counted > 0 && v.counted < 1 {
		object["counted_share"] = v.counted
	}
	return json.Marshal(object)
}

// UnmarshalJSON reads what MarshalJSON wrote. Events that are not there are NA; those that this
// version does not know are left out.
func (v *Values) UnmarshalJSON(text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return fmt.Errorf("counters: %w", err)
	}
	var na map[string][]string
	counted := 1.0
	for name, to := range map[string]any{"na": &na, "counted_share": &counted} {
		if raw, found := object[name]; found {
			if err := json.Unmarshal(raw, to); err != nil {
				return fmt.Errorf("counters: %s: %w", name, err)
			}
		}
	}
	if !(counted > 0 && counted <= 1) {
		return fmt.Errorf("counters: counted_share of %v", counted)
	}
	*v = Values{counted: counted}
	for e := range Events {
		var count *uint64
		if raw, found := object[e.String()]; found {
			if err := json.Unmarshal(raw, &count); err != nil {
				return fmt.Errorf("counters: %s: %w", e, err)
			}
		}
		if count != nil {
			v.counts[e], v.known[e] = *count, true
		}
	}
	for reason, names := range na {
		for _, name := range names {
			for e := range Events {
				if e.String() == name && !v.known[e] {
					v.reasons[e] = reason
				}
			}
		}
	}
	return nil
}
