// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	shortest    = 100 * time.Millisecond // slice: most have calls enough for a p99
	longest     = 2 * time.Second
	fieldMax    = 64 // candidates
	fieldMin    = 2
	repeatsGood = 5       // of the final
	halvingPart = 0.6     // of the budget; the rest is the final's
	failuresMax = 5       // in a row: something is wrong with the machine
	margin      = 5. / 4. // what a run may take longer than those before
)

var errBudget = errors.New("the budget is spent")

// measureFunc measures a candidate once with each number of callers.
type measureFunc func(ctx context.Context, c *candidate, callers int, slice time.Duration, round int) (figures, error)

// search is successive halving and a final, within a budget.
type search struct {
	weights
	callers []int
	budget  time.Duration
	random  *rand.Rand
	field   func(n int) []*candidate // makes n candidates
	measure measureFunc
	now     func() time.Time
	say     func(what string, at time.Duration) // before each run
	note    func(string)

	began     time.Time
	around    time.Duration // that a run takes beside its slice
	inARow    int           // failures
	failures  int
	a, again  *candidate // the default, under two names
	all       []*candidate
	finalists []*candidate
	halving   []int // rounds
	final     []int
}

// runTime is what a run takes: the rate's slice, half of that for latency, and
// floors between.
func (s *search) runTime(slice time.Duration) time.Duration { return s.around + slice*7/4 }

// sizes are how many candidates each round of halving has.
func sizes(n int) (list []int) {
	for ; n > fieldMin; n = (n + 1) / 2 {
		list = append(list, n)
	}
	return append(list, n)
}

// halvingTime is what all rounds take; the default is in each of them, twice.
func (s *search) halvingTime(n int, slice time.Duration) (total time.Duration) {
	for _, size := range sizes(n) {
		total += time.Duration((size+2)*len(s.callers)) * s.runTime(slice)
		slice = min(2*slice, longest)
	}
	return total
}

// plan takes as many candidates as can be measured in time, and longer slices only
// if there would be more than enough.
func (s *search) plan(left time.Duration) (n int, slice time.Duration) {
	n, slice = fieldMin, shortest
	for n < fieldMax && s.halvingTime(n+1, slice) <= left {
		n++
	}
	for slice < longest && s.halvingTime(n, 2*slice) <= left {
		slice *= 2
	}
	return n, slice
}

// planFinal takes the longest slices that allow a good number of repeats, with two
// finalists if possible.
func (s *search) planFinal(left time.Duration) (finalists int, slice time.Duration) {
	for finalists := min(2, len(s.finalists)); finalists > 0; finalists-- {
		repeat := func(slice time.Duration) time.Duration {
			return time.Duration((finalists+2)*len(s.callers)*repeatsGood) * s.runTime(slice)
		}
		slice := shortest
		for slice < longest && repeat(2*slice) <= left {
			slice *= 2
		}
		if repeat(slice) <= left {
			return finalists, slice
		}
	}
	return min(1, len(s.finalists)), shortest
}

// run searches until the budget is spent or ctx ends; what was seen until then
// stays. Other errors are those of a machine that cannot measure.
func (s *search) run(ctx context.Context) error {
	s.began = s.now()
	s.around = 300 * time.Millisecond
	for _, c := range []*candidate{s.a, s.again} {
		c.seen = map[int][]figures{}
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	until := s.began.Add(time.Duration(float64(s.budget) * halvingPart))
	n, slice := s.plan(until.Sub(s.now()))
	s.all = s.field(n)
	for _, c := range s.all {
		c.seen = map[int][]figures{}
	}
	s.finalists = slices.Clone(s.all)
	left := s.finalists
	for i, size := range sizes(n) {
		left = left[:min(size, len(left))]
		round := i + 1
		s.halving = append(s.halving, round)
		title := fmt.Sprintf("round %d of %d, %d candidates", round, len(sizes(n)), len(left))
		err := s.round(ctx, title, left, round, slice, until)
		left = s.ranked(left, s.halving)
		s.finalists = left
		if errors.Is(err, errBudget) {
			break
		}
		if err != nil {
			return err
		}
		slice = min(2*slice, longest)
	}
	return s.runFinal(ctx)
}

// warmUp runs the default once with each number of callers: that is slower than
// what follows, and says how long a run takes. The result does not count.
func (s *search) warmUp(ctx context.Context) error {
	for _, callers := range s.callers {
		s.say("warming up", s.now().Sub(s.began))
		if _, err := s.one(ctx, s.a, callers, shortest, 0); err != nil {
			return err
		}
	}
	return nil
}

// runFinal measures the finalists anew, so that luck of the rounds before counts
// for nothing.
func (s *search) runFinal(ctx context.Context) error {
	end := s.began.Add(s.budget)
	n, slice := s.planFinal(end.Sub(s.now()))
	s.finalists = s.finalists[:n]
	if n == 0 {
		return nil
	}
	for repeat := 1; ; repeat++ {
		round := len(s.halving) + repeat
		s.final = append(s.final, round)
		title := fmt.Sprintf("final, repeat %d", repeat)
		if err := s.round(ctx, title, s.finalists, round, slice, end); err != nil {
			if errors.Is(err, errBudget) {
				return nil
			}
			return err
		}
	}
}

// round measures all once, and the default twice, in an order of its own.
func (s *search) round(ctx context.Context, title string, list []*candidate, round int, slice time.Duration, until time.Time) error {
	type job struct {
		c  *candidate
		at int // of the callers
	}
	seen := map[*candidate][]figures{}
	left := map[*candidate]int{}
	var jobs []job
	for _, c := range append([]*candidate{s.a, s.again}, list...) {
		seen[c], left[c] = make([]figures, len(s.callers)), len(s.callers)
		for at := range s.callers {
			jobs = append(jobs, job{c, at})
		}
	}
	s.random.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	for _, j := range jobs {
		if j.c.bad {
			continue
		}
		run := time.Duration(float64(s.runTime(slice)) * margin)
		if s.now().Add(run).After(until) {
			return errBudget
		}
		s.say(fmt.Sprintf("%s: %s", title, j.c.name), s.now().Sub(s.began))
		f, err := s.one(ctx, j.c, s.callers[j.at], slice, round)
		if err != nil {
			return err
		}
		seen[j.c][j.at] = f
		if left[j.c]--; left[j.c] == 0 && !j.c.bad && !missing(seen[j.c]) {
			j.c.seen[round] = seen[j.c]
		}
	}
	return nil
}

// missing says that a run failed.
func missing(seen []figures) bool {
	return slices.Contains(seen, figures{})
}

// one measures once. A candidate that fails is out; the default is not, but lacks
// this round. Nothing is returned as an error but the end of everything.
func (s *search) one(ctx context.Context, c *candidate, callers int, slice time.Duration, round int) (figures, error) {
	before := s.now()
	f, err := s.measure(ctx, c, callers, slice, round)
	if ctx.Err() != nil {
		return figures{}, ctx.Err()
	}
	// Half of what is new: one run that was held up does not stop the search.
	s.around = (s.around + s.now().Sub(before) - slice*7/4) / 2
	if err == nil {
		s.inARow = 0
		return f, nil
	}
	s.failures++
	s.note(fmt.Sprintf("%s: %v", c.name, err))
	if s.inARow++; s.inARow == failuresMax {
		return f, fmt.Errorf("%d runs in a row failed, the last one: %w", failuresMax, err)
	}
	c.bad = c != s.a && c != s.again
	return figures{}, nil
}

// ranked returns those that are left, the best first. What no round compares with
// the default is left out, unless that is the default's fault: then all stay.
func (s *search) ranked(list []*candidate, rounds []int) (left []*candidate) {
	scores := map[*candidate]float64{}
	for _, c := range list {
		score := s.against(c, rounds)
		if !c.bad && !math.IsNaN(score) {
			scores[c] = score
			left = append(left, c)
		}
	}
	if len(left) == 0 {
		return slices.DeleteFunc(slices.Clone(list), func(c *candidate) bool { return c.bad })
	}
	slices.SortStableFunc(left, func(x, y *candidate) int { return cmp.Compare(scores[y], scores[x]) })
	return left
}

// against is the score over the default: over both of its names.
func (s *search) against(c *candidate, rounds []int) float64 {
	return math.Sqrt(s.score(c, s.a, rounds) * s.score(c, s.again, rounds))
}

// verdict is that of the final, or without one that of the rounds.
func (s *search) verdict() verdict {
	if v := s.judge(s.a, s.again, s.finalists, s.final); v.best != nil {
		return v
	}
	v := s.judge(s.a, s.again, s.ranked(s.all, s.halving), s.halving)
	v.certain = false // the best of many is also the luckiest
	return v
}
