// SPDX-License-Identifier: Apache-2.0

package cload

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"dx/experiments/internal/ledger"
)

func TestRequestsOfTheSoakAreTheSameInBothLanguages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, most := range []int{ledger.LeastBytes, 61, 64, 1000} {
		for range 500 {
			caller, life, number := random.Uint32(), random.Uint32(), random.Uint64()
			c, g := make([]byte, most), make([]byte, most)
			sender := ledger.Sender{Caller: caller, Life: life, Number: number}
			c = c[:fillSoakC(c, sender)]
			g = g[:ledger.FillRequest(g, sender)]
			if !bytes.Equal(c, g) {
				t.Fatalf("C sends %x, Go sends %x", c, g)
			}
			if from, ok := answerSoakC(c, most); from != sender || !ok {
				t.Fatalf("C takes a request of %+v for one of %+v, %v", sender, from, ok)
			}
			if _, ok := ledger.AnswerRequest(g, most); !ok || !bytes.Equal(c, g) {
				t.Fatalf("C answers %x, Go answers %x", c, g)
			}
			damaged := bytes.Clone(c)
			damaged[random.IntN(len(damaged))] ^= 1 << random.IntN(8)
			for _, judged := range []struct {
				answer []byte
				asked  ledger.Sender
			}{
				{c, sender}, {damaged, sender}, {c[:len(c)-1], sender}, {c[:5], sender}, {nil, sender},
				{c, ledger.Sender{Caller: caller + 1, Life: life, Number: number}},
				{c, ledger.Sender{Caller: caller, Life: life + 1, Number: number}},
				{c, ledger.Sender{Caller: caller, Life: life, Number: number + 1}},
			} {
				inC := judgeSoakC(judged.answer, most, judged.asked)
				if inGo := ledger.Judge(judged.answer, most, judged.asked); inC != inGo {
					t.Fatalf("%x: C judges %d, Go judges %d", judged.answer, inC, inGo)
				}
			}
		}
	}
}

func TestNotEverythingIsARequestOfTheSoak(t *testing.T) {
	data := make([]byte, 40)
	for i := range data {
		data[i] = byte(i)
	}
	if _, ok := answerSoakC(data, 64); ok {
		t.Error("C takes it for a request")
	}
}
