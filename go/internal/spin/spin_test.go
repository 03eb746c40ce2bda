// SPDX-License-Identifier: Apache-2.0

package spin

import "testing"

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
