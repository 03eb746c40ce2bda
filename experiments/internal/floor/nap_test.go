// SPDX-License-Identifier: Apache-2.0

package floor

import (
	"testing"
	"time"
)

func TestAProcessThatOnlySleepsCountsItsSleeps(t *testing.T) {
	n, err := Nap(5*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	// A loaded machine makes fewer sleeps, and never more than fit in the time that passed; its CPU
	// time is its own.
	if n.Sleeps < 1 || time.Duration(n.Sleeps)*5*time.Millisecond > n.Elapsed || n.Elapsed < 100*time.Millisecond || n.CPU <= 0 || n.CPU > n.Elapsed/2 {
		t.Errorf("%+v", n)
	}
}

func TestNapSaysWhatCannotBe(t *testing.T) {
	for _, c := range [][3]time.Duration{{0, 0, time.Second}, {time.Second, 0, time.Millisecond}, {1e6, -1, 1e7}} {
		if _, err := Nap(c[0], c[1], c[2]); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}
