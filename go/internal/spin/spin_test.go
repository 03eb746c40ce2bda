// SPDX-License-Identifier: Apache-2.0

package spin

import (
	"testing"
	"unsafe"
)

func TestUntilReturnsTheLookThatSawTheWord(t *testing.T) {
	for name, until := range map[string]func(*uint64, uint64, uint32) uint32{
		"relaxed": Until, "hot": UntilHot,
	} {
		word := uint64(1) << 40
		if n := until(&word, 1<<40, 5); n != 1 {
			t.Errorf("%s: word is there: look %d, want 1", name, n)
		}
		if n := until(&word, 1, 5); n != 0 {
			t.Errorf("%s: other word: look %d, want 0", name, n)
		}
		if n := until(&word, 1<<40, 0); n != 0 {
			t.Errorf("%s: no looks: %d, want 0", name, n)
		}
	}
}

func TestUntilSeesAStoreOfAnotherGoroutine(t *testing.T) {
	var word uint64
	go StoreRelease(&word, 7)
	for Until(&word, 7, 1000) == 0 {
	}
	Fence()
	Pause()
}

func TestScanFindsTheFirstWordThatChanged(t *testing.T) {
	var words [8 * 5]uint64 // a line each
	seen := [5]uint64{1, 2, 3, 4, 5}
	for i := range seen {
		words[8*i] = seen[i]
	}
	scan := func(count uint32) uint32 { return Scan(&words[0], 64, &seen[0], 8, count) }
	if i := scan(5); i != 5 {
		t.Errorf("nothing changed: %d", i)
	}
	if n, i := AwaitScan(&words[0], 64, &seen[0], 8, 5, 3, unsafe.Pointer(&words[0]), 64); n != 0 || i != 5 {
		t.Errorf("nothing changed: look %d, index %d", n, i)
	}
	words[8*2], words[8*4] = 30, 50
	if i := scan(5); i != 2 {
		t.Errorf("first change: %d", i)
	}
	if i := scan(2); i != 2 {
		t.Errorf("beyond the end: %d", i)
	}
	if i := Scan(&words[0], 128, &seen[0], 16, 3); i != 1 {
		t.Errorf("every second word: %d", i)
	}
	if n, i := AwaitScan(&words[0], 64, &seen[0], 8, 5, 3, unsafe.Pointer(&words[0]), 64); n != 1 || i != 2 {
		t.Errorf("changed before: look %d, index %d", n, i)
	}
}
