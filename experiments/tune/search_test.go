// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// machine is one whose candidates are as good as it says, but for noise, and whose
// clock only runs while it measures.
type machine struct {
	random *rand.Rand
	noise  float64            // of a run; logarithmic
	worth  map[string]float64 // of a candidate; 1 if not there
	clock  time.Time
	runs   map[string]int
	fail   string // who always fails
	cancel func() // at the 40th run
}

func (m *machine) measure(ctx context.Context, c *candidate, callers int, slice time.Duration, round int) (figures, error) {
	m.clock = m.clock.Add(slice*3/2 + time.Duration(200+m.random.IntN(60))*time.Millisecond)
	m.runs[c.name]++
	m.runs["all"]++
	if m.cancel != nil && m.runs["all"] == 40 {
		m.cancel()
	}
	if c.name == m.fail || m.fail == "all" {
		return figures{}, errors.New("failed")
	}
	worth, known := m.worth[c.name]
	if !known {
		worth = 1
	}
	drift := 1 + m.clock.Sub(time.Time{}).Seconds()/100
	x := worth * drift * float64(callers) * math.Exp(m.noise*m.random.NormFloat64())
	return figures{x, x, x}, nil
}

// newTest is a search on a machine; the candidates are c0, c1, ...
func newTest(seed uint64, budget time.Duration, noise float64) (*search, *machine) {
	random := rand.New(rand.NewPCG(seed, 7))
	m := &machine{random: random, noise: noise, worth: map[string]float64{}, runs: map[string]int{}}
	return &search{
		weights: weights{1, 0, 0}, callers: []int{1, 8}, budget: budget, random: random,
		field: func(n int) (list []*candidate) {
			for i := range n {
				list = append(list, &candidate{name: fmt.Sprint("c", i)})
			}
			return list
		},
		measure: m.measure, now: func() time.Time { return m.clock },
		say: func(string, time.Duration) {}, note: func(string) {},
		a: &candidate{name: "a"}, again: &candidate{name: "again"},
	}, m
}

func TestTheBestIsFoundWithinTheBudget(t *testing.T) {
	for seed := range uint64(50) {
		s, m := newTest(seed, time.Minute, 0.05)
		for i := range fieldMax {
			m.worth[fmt.Sprint("c", i)] = 0.3 + 0.6*m.random.Float64()
		}
		m.worth["c3"] = 1.5
		if err := s.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		v := s.verdict()
		if !v.certain || v.best.name != "c3" || math.Abs(v.gain-0.5) > 0.2 {
			t.Errorf("seed %d: %+v", seed, v)
		}
		if spent := m.clock.Sub(time.Time{}); spent > time.Minute || spent < 50*time.Second {
			t.Errorf("seed %d: it took %v of a minute", seed, spent)
		}
		if len(s.all) < 8 || m.runs["all"] >= 4*len(s.all)*8 {
			t.Errorf("seed %d: %d candidates, %d runs", seed, len(s.all), m.runs["all"])
		}
	}
}

func TestBadCandidatesAreMeasuredLess(t *testing.T) {
	s, m := newTest(1, time.Minute, 0.01)
	m.worth["c0"], m.worth["c1"] = 0.1, 2
	if err := s.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if m.runs["c0"] != 2 || m.runs["c1"] < 8 {
		t.Errorf("runs: %v", m.runs)
	}
}

func TestNoBudgetIsExceeded(t *testing.T) {
	for _, budget := range []time.Duration{time.Second, 3 * time.Second, 7 * time.Second, 20 * time.Second, 10 * time.Minute} {
		s, m := newTest(1, budget, 0.1)
		if err := s.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.verdict()
		if spent := m.clock.Sub(time.Time{}); spent > budget {
			t.Errorf("%v: it took %v", budget, spent)
		}
	}
}

// All candidates are a bit worse: whoever wins does so by luck, which the final and
// the A/A rule are to find out.
func TestNoiseDoesNotMakeAWorseOneWin(t *testing.T) {
	wrong := 0
	for seed := range uint64(300) {
		s, m := newTest(seed, time.Minute, 0.3)
		for i := range fieldMax {
			m.worth[fmt.Sprint("c", i)] = 0.98
		}
		if err := s.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if s.verdict().certain {
			wrong++
		}
	}
	if wrong > 300*chanceMax {
		t.Errorf("%d of 300 chose what is worse", wrong)
	}
}

// seen makes a candidate of what each round showed.
func seen(name string, rounds ...float64) *candidate {
	c := &candidate{name: name, seen: map[int][]figures{}}
	for i, x := range rounds {
		c.seen[i+1] = []figures{{x, x, x}}
	}
	return c
}

func TestAARule(t *testing.T) {
	w, rounds := weights{1, 0, 0}, []int{1, 2, 3, 4}
	a, again := seen("a", 1, 1, 1, 1), seen("again", 1.1, 1.1, 1.1, 1.1)
	for name, c := range map[string]struct {
		best            *candidate
		beyond, certain bool
	}{
		"beyond both":          {seen("c", 1.3, 1.3, 1.3, 1.3), true, true},
		"within the noise":     {seen("c", 1.15, 1.15, 1.15, 1.15), false, false},
		"worse":                {seen("c", 0.9, 0.9, 0.9, 0.9), false, false},
		"too few rounds":       {seen("c", 1.3, 1.3), true, false},
		"not in all rounds":    {seen("c", 1.3, 1.3, 1.3, 1.05), true, false},
		"without a known rate": {seen("c", math.NaN(), math.NaN(), math.NaN()), false, false},
	} {
		v := w.judge(a, again, []*candidate{c.best}, rounds)
		if v.beyond != c.beyond || v.certain != c.certain || math.Abs(v.noise-0.1) > 1e-9 {
			t.Errorf("%s: %+v", name, v)
		}
	}
	swapped := w.judge(again, a, []*candidate{seen("c", 1.15, 1.15, 1.15)}, rounds)
	if swapped.beyond || math.Abs(swapped.noise-0.1) > 1e-9 {
		t.Errorf("with the names swapped: %+v", swapped)
	}
}

func TestScoresAreGeometricMeansOfMediansOfPairs(t *testing.T) {
	one := &candidate{seen: map[int][]figures{1: {{2, 1, 1}, {8, 1, 1}}, 2: {{20, 1, 1}, {80, 1, 1}}, 4: {{1, 1, 1}, {1, 1, 1}}}}
	other := &candidate{seen: map[int][]figures{1: {{1, 1, 4}, {1, 1, 4}}, 2: {{10, 1, 4}, {10, 1, 4}}, 3: {{9, 9, 9}, {9, 9, 9}}}}
	for _, c := range []struct {
		weights
		want float64
	}{{weights{1, 0, 0}, 4}, {weights{1, 0, 1}, 1}, {weights{3, 0, 0}, 4}, {weights{0, 1, 0}, 1}} {
		if got := c.score(one, other, []int{1, 2, 3, 4}); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v: %v, want %v", c.weights, got, c.want)
		}
	}
	if p := tail(4, 5, 1./3); math.Abs(p-11./243) > 1e-9 {
		t.Errorf("chance of 4 of 5: %v", p)
	}
}

func TestWhoFailsIsOutAndAMachineThatAlwaysFailsEndsIt(t *testing.T) {
	s, m := newTest(1, time.Minute, 0.01)
	m.fail, m.worth["c2"] = "c2", 10
	if err := s.run(context.Background()); err != nil || s.failures != 1 || m.runs["c2"] != 1 || s.verdict().best.name == "c2" {
		t.Errorf("%v, %d failures, %v", err, s.failures, m.runs)
	}
	s, m = newTest(1, time.Minute, 0.01)
	m.fail = "all"
	if err := s.run(context.Background()); err == nil || m.runs["all"] != failuresMax {
		t.Errorf("%v after %v", err, m.runs)
	}
}

func TestInterruptKeepsWhatIsThereAndConfirmsNothing(t *testing.T) {
	s, m := newTest(1, 20*time.Second, 0.01)
	m.worth["c1"] = 2
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if err := s.run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if v := s.verdict(); v.best == nil || v.best.name != "c1" || !v.beyond || m.runs["all"] != 40 {
		t.Errorf("%+v after %d runs", v, m.runs["all"])
	}
}

// A default whose figure is not known compares with nobody: that says nothing of
// the candidates.
func TestADefaultWithoutAFigureDropsNobody(t *testing.T) {
	s, _ := newTest(1, time.Minute, 0.01)
	s.a, s.again = seen("a", math.NaN()), seen("again", math.NaN())
	list := []*candidate{seen("c0", 1), seen("c1", 2), {name: "c2", bad: true}}
	if left := s.ranked(list, []int{1}); len(left) != 2 {
		t.Errorf("%d left of 2 that work", len(left))
	}
	s.a = seen("a", 1)
	s.again = seen("again", 1)
	if left := s.ranked(list, []int{1}); len(left) != 2 || left[0].name != "c1" {
		t.Errorf("not by their scores: %v", left)
	}
}
