// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"

	"dx/experiments/internal/stat"
	"dx/go/dx"
)

// The three figures that are weighed.
const (
	latency = iota
	throughput
	cost
	figureCount
)

var figureNames = [figureCount]string{"latency", "throughput", "cost"}

// figures are what one run showed, as what is to be large: 1/p99 in ns, calls a
// second, million calls per CPU second. NaN is what the run does not know.
type figures [figureCount]float64

// weights say how much each figure counts.
type weights [figureCount]float64

// candidate is a wait strategy with what was seen of it.
type candidate struct {
	name string
	wait dx.Wait
	seen map[int][]figures // by round; by number of callers, only if all were measured
	bad  bool              // a run failed
}

// over is the logarithm of how much better a is than b: the weighted mean.
func (w weights) over(a, b figures) float64 {
	sum, all := 0.0, 0.0
	for i, weight := range w {
		if weight > 0 {
			sum += weight * math.Log(a[i]/b[i])
			all += weight
		}
	}
	return sum / all
}

// score compares two candidates by the rounds that both have: the median over the
// rounds, then the geometric mean over the numbers of callers. 1.1 is 10 % better.
// Only runs of the same round are compared, so that a drift of the machine does not
// count. NaN if they have no round in common.
func (w weights) score(c, reference *candidate, rounds []int) float64 {
	var byCallers [][]float64
	for _, round := range rounds {
		mine, other := c.seen[round], reference.seen[round]
		if mine == nil || other == nil {
			continue
		}
		if byCallers == nil {
			byCallers = make([][]float64, len(mine))
		}
		for i := range mine {
			byCallers[i] = append(byCallers[i], w.over(mine[i], other[i]))
		}
	}
	sum := 0.0
	for _, logs := range byCallers {
		sum += stat.Median(logs)
	}
	return math.Exp(sum / float64(len(byCallers)))
}

// verdict is how a candidate compares with the default, which was measured as two.
type verdict struct {
	best    *candidate // nil: there is none to compare
	gain    float64    // over the better of the two: 0.1 is 10 % better
	noise   float64    // difference of the two
	wins    int        // rounds in which it was better than both
	rounds  int
	chance  float64 // of so many wins for one that is the same
	limit   float64 // of chance
	beyond  bool    // gain is larger than noise
	certain bool    // and chance smaller than its limit
}

// chanceMax is how often a candidate that is no better may seem so.
const chanceMax = 0.05

// judge finds the best of the candidates and applies the A/A rule: it has to be
// better than both by more than those two differ, and so in more rounds than chance
// explains. Of three that are the same, each is the best of a round in one of three.
func (w weights) judge(a, again *candidate, candidates []*candidate, rounds []int) (v verdict) {
	v.gain = math.Inf(-1)
	v.noise = math.Exp(math.Abs(math.Log(w.score(again, a, rounds)))) - 1
	for _, c := range candidates {
		gain := min(w.score(c, a, rounds), w.score(c, again, rounds)) - 1
		if !c.bad && gain > v.gain { // and not NaN
			v.best, v.gain = c, gain
		}
	}
	if v.best == nil {
		return v
	}
	for _, round := range rounds {
		one := []int{round}
		x, y := w.score(v.best, a, one), w.score(v.best, again, one)
		if math.IsNaN(x) || math.IsNaN(y) {
			continue
		}
		v.rounds++
		if min(x, y) > 1 {
			v.wins++
		}
	}
	v.chance, v.limit = tail(v.wins, v.rounds, 1./3), chanceMax/float64(len(candidates))
	v.beyond = v.gain > v.noise && v.gain > 0
	v.certain = v.beyond && v.chance <= v.limit
	return v
}

// tail is the chance of at least k of n where each has chance p.
func tail(k, n int, p float64) (sum float64) {
	term := math.Pow(1-p, float64(n)) // of none
	for i := range n + 1 {
		if i >= k {
			sum += term
		}
		term *= float64(n-i) / float64(i+1) * p / (1 - p)
	}
	return sum
}
