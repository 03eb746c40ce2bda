// SPDX-License-Identifier: Apache-2.0

package result

import "math"

// Front says which summaries no other one beats: in rate, p99 (from the intended start, in an open
// loop) and CPU time per operation, each by its median. Only what was asked the same counts as
// another: callers, payload and rate. What has no p99 or no CPU time loses there to all that have
// one; what has no rate, or wrong content, is never on the front.
func Front(summaries []Summary) []bool {
	front := make([]bool, len(summaries))
	for i, s := range summaries {
		front[i] = s.OpsPerS.Known && s.VerifyFailures == 0
		for _, other := range summaries {
			front[i] = front[i] && !beats(other, s)
		}
	}
	return front
}

// beats says that a is nowhere worse than b, and somewhere better.
func beats(a, b Summary) bool {
	if a.Threads != b.Threads || a.PayloadBytes != b.PayloadBytes || a.RatePerS != b.RatePerS ||
		!a.OpsPerS.Known || a.VerifyFailures > 0 {
		return false
	}
	x, y := costs(a), costs(b)
	better := false
	for i := range x {
		if x[i] > y[i] {
			return false
		}
		better = better || x[i] < y[i]
	}
	return better
}

// costs are what should be small. What an open loop reaches is what it was asked for.
func costs(s Summary) [3]float64 {
	of := func(r Range) float64 {
		if !r.Known {
			return math.Inf(1)
		}
		return r.Median
	}
	rate := -s.OpsPerS.Median
	if s.RatePerS > 0 && s.Missed == 0 {
		rate = -s.RatePerS
	}
	_, _, p99, _, _ := s.Latency()
	return [3]float64{rate, of(p99), of(s.CPUSPerMop)}
}
