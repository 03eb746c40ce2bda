// SPDX-License-Identifier: Apache-2.0

// Package content makes payloads that can be checked: every request differs
// from every other and its answer follows from it, so that an answer that was
// lost, old, somebody else's or never copied is found.
//
//	word i of request (caller, sequence) = (sequence + i) * oddA + caller * oddB
//	answer                               = request with every bit flipped
//
// experiments/internal/cload/content.h does the same in C.
package content

import "encoding/binary"

const (
	oddA = 0x9e3779b97f4a7c15
	oddB = 0xc2b2ae3d27d4eb4f
)

func word(caller uint32, sequence uint64, i int) uint64 {
	return (sequence+uint64(i))*oddA + uint64(caller)*oddB
}

// Fill writes the request of a caller with this sequence number.
func Fill(to []byte, caller uint32, sequence uint64) {
	each(len(to), func(at, n int) {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], word(caller, sequence, at/8))
		copy(to[at:at+n], w[:n])
	})
}

// Answer turns a request into its answer, in place.
func Answer(data []byte) {
	for i := range data {
		data[i] = ^data[i]
	}
}

// IsAnswer says whether data is the whole answer to that request.
func IsAnswer(data []byte, bytes int, caller uint32, sequence uint64) bool {
	if len(data) != bytes {
		return false
	}
	right := true
	each(len(data), func(at, n int) {
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], ^word(caller, sequence, at/8))
		right = right && string(data[at:at+n]) == string(w[:n])
	})
	return right
}

// each calls f with the offset and length of each word, the last one perhaps
// cut.
func each(bytes int, f func(at, n int)) {
	for at := 0; at < bytes; at += 8 {
		f(at, min(8, bytes-at))
	}
}
