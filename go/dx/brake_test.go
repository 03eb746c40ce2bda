// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"testing"

	"dx/libdx"
)

func TestWhoRingsForNewsIsHeardAtOnce(t *testing.T) {
	b := brake{rings: libdx.BrakeRingsMax}
	for found := range uint64(10_000) {
		if b.afterRing(found) != 0 || b.afterRing(found) != 0 {
			t.Fatalf("a pause after %d pieces of news", found)
		}
	}
}

func TestWhoOnlyRingsIsHeardMoreAndMoreSeldom(t *testing.T) {
	b := brake{rings: libdx.BrakeRingsMax}
	for i := range libdx.BrakeRingsMax {
		if b.afterRing(0) != 0 {
			t.Fatalf("a pause after %d rings", i)
		}
	}
	before := b.afterRing(0)
	for range 10 {
		pause := b.afterRing(0)
		if pause < before || pause > libdx.BrakePauseMaxNs {
			t.Fatalf("a pause of %v after one of %v", pause, before)
		}
		before = pause
	}
	if before != libdx.BrakePauseMaxNs {
		t.Errorf("the longest pause was %v", before)
	}
}

func TestNewsBuysAFewRings(t *testing.T) {
	b := brake{}
	for found := uint64(1); found < 100; found++ {
		for range libdx.BrakeRingsEach {
			if b.afterRing(found) != 0 {
				t.Fatal("a pause in spite of news")
			}
		}
		if b.afterRing(found) == 0 {
			t.Fatal("no pause after the rings that news bought")
		}
	}
}
