// SPDX-License-Identifier: Apache-2.0

package content

import (
	"bytes"
	"testing"
)

func TestAnswerIsAcceptedForItsOwnRequestOnly(t *testing.T) {
	for _, n := range []int{1, 7, 8, 9, 64, 100} {
		data := make([]byte, n)
		Fill(data, 3, 99)
		if IsAnswer(data, n, 3, 99) {
			t.Errorf("%d bytes: a request that was never answered is accepted", n)
		}
		Answer(data)
		if !IsAnswer(data, n, 3, 99) {
			t.Errorf("%d bytes: the right answer is refused", n)
		}
		if IsAnswer(data, n, 3, 98) || IsAnswer(data, n, 4, 99) {
			t.Errorf("%d bytes: an old or a foreign answer is accepted", n)
		}
		if IsAnswer(data[:n-1], n, 3, 99) {
			t.Errorf("%d bytes: a short answer is accepted", n)
		}
		for i := range data {
			wrong := bytes.Clone(data)
			wrong[i] ^= 0x10
			if IsAnswer(wrong, n, 3, 99) {
				t.Errorf("%d bytes: a flipped bit in byte %d is accepted", n, i)
			}
		}
	}
}
