// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package spin

import "unsafe"

// Until looks at *word up to looks times, with a CPU relax instruction between
// looks, and returns the number of the look that saw want, or 0. The load that
// saw it has acquire semantics.
//
//go:noescape
func Until(word *uint64, want uint64, looks uint32) uint32

// UntilHot is Until without the relax instruction.
//
//go:noescape
func UntilHot(word *uint64, want uint64, looks uint32) uint32

// StoreRelease stores value after everything that was written before, without
// the full fence that sync/atomic's store has.
//
//go:noescape
func StoreRelease(word *uint64, value uint64)

// Fence orders every earlier store before every later load.
func Fence()

// Pause is one CPU relax instruction.
func Pause()

// Ticks reads the CPU's counter of constant rate.
func Ticks() uint64

// Prefetch has the line at p come into this CPU's caches. It waits for nothing.
//
//go:noescape
func Prefetch(p unsafe.Pointer)

// Scan looks once at count words, the first at word and each stride bytes
// after the one before, and returns the index of the first that differs from
// its element of seen (seenStride bytes apart), or count. The load that saw it
// has acquire semantics.
//
//go:noescape
func Scan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count uint32) uint32

// AwaitScan scans up to looks times, with a CPU relax instruction before each
// scan, until a word differs. It returns the number of the look that saw one and
// the index of the first, or 0 and count. It has the line of data that belongs to
// that word come into this CPU's caches: data is the first word's, and each lies
// dataStride bytes after the one before.
//
//go:noescape
func AwaitScan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count, looks uint32,
	data unsafe.Pointer, dataStride uintptr) (look, index uint32)
