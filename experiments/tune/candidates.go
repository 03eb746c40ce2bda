// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"dx/experiments/internal/exchange"
	"dx/go/dx"
)

const defaultName = "balanced"

// contenders returns n candidates: the presets but for the default, then random
// points around all of them.
func contenders(random *rand.Rand, n int, transport string) (list []*candidate) {
	var presets []dx.Wait
	for _, name := range dx.PresetNames() {
		wait, err := dx.Preset(name)
		if err != nil {
			panic(err) // cannot be: the library listed it
		}
		presets = append(presets, wait)
		if name != defaultName && len(list) < n {
			list = append(list, &candidate{name: name, wait: wait})
		}
	}
	for number := 1; len(list) < n; number++ {
		base := random.IntN(len(presets))
		name := fmt.Sprintf("%s~%d", dx.PresetNames()[base], number)
		list = append(list, &candidate{name: name, wait: near(random, presets[base], transport)})
	}
	return list
}

// spinMaxMost bounds the time that a strategy spins for nothing: some 20 ms.
const spinMaxMost = 1_000_000

// near changes a strategy here and there. It never returns one that never sleeps:
// in a closed loop nothing shows what that costs when nobody calls.
func near(random *rand.Rand, w dx.Wait, transport string) dx.Wait {
	scaled := func(x uint32, by float64) uint32 {
		return uint32(min(float64(max(x, 1))*math.Pow(by, 2*random.Float64()-1), spinMaxMost))
	}
	w.SpinMax = scaled(w.SpinMax, 8)
	w.SpinMin = min(scaled(w.SpinMin, 8), w.SpinMax)
	w.SpinStart = w.SpinMin + random.Uint32N(w.SpinMax-w.SpinMin+1)
	w.SpinInc, w.SpinDec = scaled(w.SpinInc, 4), scaled(w.SpinDec, 4)
	w.YieldEvery = pick(random, w.YieldEvery, 1, 8, 16, 32, 64, 128, 256, 1024)
	w.Burst = pick(random, w.Burst, 1, 4, 8, 16, 32, 64, 128)
	w.Relax = pick(random, w.Relax, dx.RelaxPause, dx.RelaxPause, dx.RelaxNone)
	w.Adapt = pick(random, w.Adapt, dx.AdaptOff, dx.AdaptStep, dx.AdaptCost)
	w.Park = pick(random, w.Park, dx.ParkFutex, dx.ParkSem, dx.ParkPoll)
	if transport == "unix" && random.IntN(4) == 0 {
		if err := w.Park.UnmarshalText([]byte("doorbell")); err != nil {
			panic(err) // cannot be: it is one of the kinds
		}
	}
	exchange.FitSpin(&w, true, true)
	return w
}

// pick keeps a value or takes another.
func pick[T any](random *rand.Rand, old T, others ...T) T {
	if random.IntN(2) == 0 {
		return old
	}
	return others[random.IntN(len(others))]
}
