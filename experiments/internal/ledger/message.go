// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"

	"dx/experiments/internal/content"
)

// A request is its number, then caller | life << 32, then content that follows from both; its
// answer is the same with every bit flipped. So an answer says whose it is, and its length, which
// differs from call to call, follows from the number.

const (
	headBytes = 16
	// LeastBytes is the smallest payload: without content anything could be a request.
	LeastBytes = headBytes + 8
)

// oddLength spreads the lengths; soak.c has the same.
const oddLength = 0x9e3779b97f4a7c15

// Sender is whose request it is, and which one.
type Sender struct {
	Caller, Life uint32
	Number       uint64
}

// RequestBytes is the length of a request, LeastBytes to most.
func RequestBytes(number uint64, most int) int {
	return LeastBytes + int(number*oddLength>>33%uint64(most-LeastBytes+1))
}

// seed makes the content follow from the life, too.
func seed(life uint32, number uint64) uint64 { return number ^ uint64(life)<<32 }

// FillRequest writes a request and returns its length.
func FillRequest(to []byte, from Sender) int {
	n := RequestBytes(from.Number, len(to))
	binary.LittleEndian.PutUint64(to, from.Number)
	binary.LittleEndian.PutUint64(to[8:], uint64(from.Life)<<32|uint64(from.Caller))
	content.Fill(to[headBytes:n], from.Caller, seed(from.Life, from.Number))
	return n
}

// AnswerRequest turns a request into its answer, in place, and says who sent it; it is not ok if
// nobody can have.
func AnswerRequest(data []byte, most int) (from Sender, ok bool) {
	content.Answer(data)
	return senderOf(data, most)
}

// senderOf says to whose request this is the answer.
func senderOf(answer []byte, most int) (to Sender, ok bool) {
	if len(answer) < LeastBytes {
		return to, false
	}
	who := ^binary.LittleEndian.Uint64(answer[8:])
	to = Sender{uint32(who), uint32(who >> 32), ^binary.LittleEndian.Uint64(answer)}
	n := RequestBytes(to.Number, most)
	return to, len(answer) == n &&
		content.IsAnswer(answer[headBytes:], n-headBytes, to.Caller, seed(to.Life, to.Number))
}

// Verdict says what an answer is.
type Verdict int

// The verdicts.
const (
	Right Verdict = iota
	Stale         // the answer to another request of this caller
	Other         // the answer to a request of another caller
	Bytes         // none of these
)

// Judge compares an answer with what was asked for.
func Judge(answer []byte, most int, asked Sender) Verdict {
	got, ok := senderOf(answer, most)
	switch {
	case !ok:
		return Bytes
	case got == asked:
		return Right
	case got.Caller == asked.Caller:
		return Stale
	}
	return Other
}

// Count counts an answer that came while nobody scribbled.
func (c *Caller) Count(v Verdict, number uint64, answer []byte) {
	switch v {
	case Right:
		c.Verified++
		return
	case Stale:
		c.WrongStale++
	case Other:
		c.WrongOther++
	default:
		c.WrongBytes++
	}
	var head [headBytes]byte
	copy(head[:], answer)
	c.Asked = number
	c.GotFirst = ^binary.LittleEndian.Uint64(head[:])
	c.GotNext = ^binary.LittleEndian.Uint64(head[8:])
}
