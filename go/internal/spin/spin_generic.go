// SPDX-License-Identifier: Apache-2.0

//go:build !amd64 && !arm64

package spin

import (
	"sync/atomic"
	"unsafe"
)

// Ticks is 0: there is no counter that is known.
func Ticks() uint64 { return 0 }

// Until looks at *word up to looks times and returns the number of the look
// that saw want, or 0.
func Until(word *uint64, want uint64, looks uint32) uint32 {
	for n := uint32(1); n <= looks; n++ {
		if atomic.LoadUint64(word) == want {
			return n
		}
	}
	return 0
}

// UntilHot is Until.
func UntilHot(word *uint64, want uint64, looks uint32) uint32 { return Until(word, want, looks) }

// StoreRelease stores value; here with a full fence.
func StoreRelease(word *uint64, value uint64) { atomic.StoreUint64(word, value) }

// Fence orders every earlier store before every later load.
func Fence() {
	var word uint64
	atomic.AddUint64(&word, 1)
}

// Pause does nothing here.
func Pause() {}

// Prefetch does nothing here.
func Prefetch(unsafe.Pointer) {}

// Scan looks once at count words, the first at word and each stride bytes
// after the one before, and returns the index of the first that differs from
// its element of seen (seenStride bytes apart), or count.
func Scan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count uint32) uint32 {
	for i := uint32(0); i < count; i++ {
		at := (*uint64)(unsafe.Add(unsafe.Pointer(word), uintptr(i)*stride))
		if atomic.LoadUint64(at) != *(*uint64)(unsafe.Add(unsafe.Pointer(seen), uintptr(i)*seenStride)) {
			return i
		}
	}
	return count
}

// AwaitScan scans up to looks times until a word differs. It returns the number
// of the look that saw one and the index of the first, or 0 and count.
func AwaitScan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count, looks uint32,
	_ unsafe.Pointer, _ uintptr) (look, index uint32) {
	for n := uint32(1); n <= looks; n++ {
		if i := Scan(word, stride, seen, seenStride, count); i != count {
			return n, i
		}
	}
	return 0, count
}
