// SPDX-License-Identifier: Apache-2.0

package floor

import (
	"testing"

	"dx/experiments/internal/affinity"
)

func TestTwoProcessesWakeEachOther(t *testing.T) {
	cpus, err := affinity.Split()
	if err != nil {
		t.Fatal(err)
	}
	for _, bell := range Bells {
		w, err := Blocking(bell, cpus.Host[0], cpus.Guest[0], 300)
		if err != nil {
			t.Fatalf("%s: %v", bell, err)
		}
		if p50, ok := w.Latency.Quantile(0.5); !ok || p50 < 100 || w.Latency.Count() != 300 || w.All != 600 || w.CPU <= 0 {
			t.Errorf("%s: p50 %d ns of %d samples, %d trips in %v of CPU", bell, p50, w.Latency.Count(), w.All, w.CPU)
		}
	}
}

func TestBlockingSaysWhatCannotBe(t *testing.T) {
	for _, c := range []struct {
		bell        string
		a, b, trips int
	}{{"drum", 0, 1, 10}, {"pipe", 0, 1, 0}, {"pipe", -1, 1, 10}, {"pipe", 0, 1023, 10}, {"futex", 1023, 0, 10}} {
		if _, err := Blocking(c.bell, c.a, c.b, c.trips); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}
