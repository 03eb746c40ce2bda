// SPDX-License-Identifier: Apache-2.0

package mapping

import (
	"bytes"
	"syscall"
	"testing"
)

func pages(t *testing.T, n int) []byte {
	t.Helper()
	memory, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(memory) })
	return memory
}

// Each loop does to every line what its name says, and nothing beyond its memory.
func TestLoopsTouchWhatTheySay(t *testing.T) {
	const size = 8192
	loops := Loops()
	if len(loops) < 10 {
		t.Fatalf("%d loops", len(loops))
	}
	for _, l := range loops {
		mapped, private := pages(t, 2*size), pages(t, size)
		for i := range private {
			private[i] = byte(i % 251)
			mapped[i], mapped[size+i] = 1, 1
		}
		before := bytes.Clone(mapped)
		if ns := l.Time(mapped[:size], private, 3); ns <= 0 {
			t.Errorf("%s: %d ns", l.Name, ns)
		}
		if !bytes.Equal(mapped[size:], before[size:]) {
			t.Errorf("%s writes beyond its end", l.Name)
		}
		if !l.Writes() && !bytes.Equal(mapped, before) {
			t.Errorf("%s writes", l.Name)
		}
		if l.Operation == "memcpy-out" && !bytes.Equal(private, before[:size]) ||
			l.Operation == "memcpy-in" && !bytes.Equal(mapped[:size], private) {
			t.Errorf("%s does not copy", l.Name)
		}
		for line := 0; l.Operation == "store" && line < size; line += LineBytes {
			for i := range l.AccessesPerLine {
				at := line + i*LineBytes/l.AccessesPerLine
				if bytes.Equal(mapped[at:at+8], before[at:at+8]) {
					t.Fatalf("%s leaves out byte %d", l.Name, at)
				}
			}
		}
	}
}

func TestAccessesAreCounted(t *testing.T) {
	l := Loop{AccessBytes: 16, AccessesPerLine: 4}
	if l.Accesses(24_883_200) != 1_555_200 || l.TouchedBytes(24_883_200) != 24_883_200 {
		t.Errorf("%d loads, %d bytes", l.Accesses(24_883_200), l.TouchedBytes(24_883_200))
	}
	l = Loop{AccessBytes: 1, AccessesPerLine: 1}
	if l.TouchedBytes(6400) != 100 {
		t.Errorf("%d bytes", l.TouchedBytes(6400))
	}
	if (Loop{}).TouchedBytes(640) != 640 {
		t.Error("memcpy touches every byte")
	}
}

func TestPrivateMemoryIsCached(t *testing.T) {
	memory := pages(t, KindBytes)
	memory[0] = 1
	times, kind := KindOf(memory)
	for i := 0; i < 100 && kind != Cached; i++ { // others had the CPU or its caches
		times, kind = KindOf(memory)
	}
	if kind != Cached || times.LineNs <= 0 {
		t.Errorf("%s: %+v", kind, times)
	}
}
