// SPDX-License-Identifier: Apache-2.0

package counters

// What follows from counts is derived here and nowhere else. Nothing follows from an event that is
// NA, and no ratio from a denominator of 0.

// L1DMissRate returns the share of loads, from 0 to 1, that the first data cache did not have.
func (v Values) L1DMissRate() (rate float64, ok bool) { return v.ratio(L1DMisses, L1DReferences) }

// LLCMissRate returns the share of loads that reached the last cache and went on to memory.
func (v Values) LLCMissRate() (rate float64, ok bool) { return v.ratio(LLCMisses, LLCReferences) }

// DTLBMissRate returns the share of loads whose page the first data TLB did not have.
func (v Values) DTLBMissRate() (rate float64, ok bool) { return v.ratio(DTLBMisses, DTLBReferences) }

// IPC returns instructions per cycle.
func (v Values) IPC() (instructions float64, ok bool) { return v.ratio(Instructions, Cycles) }

// CyclesPerByte returns what one of that many bytes cost.
func (v Values) CyclesPerByte(bytes uint64) (cycles float64, ok bool) {
	count, known := v.Count(Cycles)
	if !known || bytes == 0 {
		return 0, false
	}
	return float64(count) / float64(bytes), true
}

// PerSecond returns how often an event happened each second of that many ns.
func (v Values) PerSecond(e Event, elapsedNs int64) (rate float64, ok bool) {
	count, known := v.Count(e)
	if !known || elapsedNs <= 0 {
		return 0, false
	}
	return float64(count) / float64(elapsedNs) * 1e9, true
}

func (v Values) ratio(above, below Event) (float64, bool) {
	a, knownA := v.Count(above)
	b, knownB := v.Count(below)
	if !knownA || !knownB || b == 0 {
		return 0, false
	}
	return float64(a) / float64(b), true
}
