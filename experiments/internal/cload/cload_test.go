// SPDX-License-Identifier: Apache-2.0

package cload

import (
	"bytes"
	"testing"

	"dx/experiments/internal/content"
)

func TestContentIsTheSameInBothLanguages(t *testing.T) {
	for _, n := range []int{1, 7, 8, 9, 64, 1000} {
		c, g := make([]byte, n), make([]byte, n)
		fillC(c, 5, 1<<40+1)
		content.Fill(g, 5, 1<<40+1)
		if !bytes.Equal(c, g) {
			t.Fatalf("%d bytes: C fills %x, Go fills %x", n, c, g)
		}
		content.Answer(g)
		if !isAnswerC(g, 5, 1<<40+1) || isAnswerC(g, 5, 1<<40+2) || isAnswerC(c, 5, 1<<40+1) {
			t.Fatalf("%d bytes: C judges Go's answers wrongly", n)
		}
	}
}
