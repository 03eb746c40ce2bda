// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"testing"
)

const most = 61

func request(caller, life uint32, number uint64) []byte {
	buffer := make([]byte, most)
	return buffer[:FillRequest(buffer, Sender{caller, life, number})]
}

func answer(t *testing.T, caller, life uint32, number uint64) []byte {
	t.Helper()
	data := request(caller, life, number)
	if from, ok := AnswerRequest(data, most); from != (Sender{caller, life, number}) || !ok {
		t.Fatalf("request %d of %d is taken for %+v, %v", number, caller, from, ok)
	}
	return data
}

func TestAnswersAreToldApart(t *testing.T) {
	for number := uint64(1); number < 2000; number++ {
		for _, c := range []struct {
			what   string
			answer []byte
			want   Verdict
		}{
			{"its own", answer(t, 3, 9, number), Right},
			{"an earlier one", answer(t, 3, 9, number-1), Stale},
			{"one of an earlier life", answer(t, 3, 8, number), Stale},
			{"another caller's", answer(t, 4, 9, number), Other},
			{"the request itself", request(3, 9, number), Bytes},
			{"one cut short", answer(t, 3, 9, number)[:LeastBytes-1], Bytes},
			{"one that is too long", append(answer(t, 3, 9, number), 0), Bytes},
			{"nothing", nil, Bytes},
		} {
			if got := Judge(c.answer, most, Sender{3, 9, number}); got != c.want {
				t.Fatalf("number %d: %s is judged %d, want %d", number, c.what, got, c.want)
			}
		}
	}
}

func TestEveryDamagedByteIsFound(t *testing.T) {
	good := answer(t, 3, 9, 77)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 4
		if Judge(bad, most, Sender{3, 9, 77}) == Right {
			t.Errorf("byte %d of the answer is not looked at", i)
		}
		damaged := request(3, 9, 77)
		damaged[i] ^= 4
		if _, ok := AnswerRequest(damaged, most); ok {
			t.Errorf("byte %d of the request is not looked at", i)
		}
	}
}

func TestLengthsTakeEveryValue(t *testing.T) {
	seen := map[int]bool{}
	for number := range uint64(2000) {
		n := RequestBytes(number, most)
		if n < LeastBytes || n > most {
			t.Fatalf("request %d has %d bytes", number, n)
		}
		seen[n] = true
	}
	if len(seen) != most-LeastBytes+1 || RequestBytes(5, LeastBytes) != LeastBytes {
		t.Errorf("%d lengths of %d", len(seen), most-LeastBytes+1)
	}
}

func TestWhatIsHandledAgainIsCounted(t *testing.T) {
	l, err := Create(2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, h := range []struct {
		life   uint32
		number uint64
	}{
		{1, 1}, {1, 2}, {1, 2}, {1, 5}, {1, 3}, {2, 8}, {1, 6}, {1, 6}, // late, for a host that is dead
		{5, 9}, {1, 7}, {5, 10},
	} {
		l.Callers[1].Handle(h.life, h.number)
	}
	if sum := l.Sum(); sum.Handled != 7 || sum.Repeated != 4 {
		t.Errorf("%+v", sum)
	}
}

func TestStampKeepsTheFirstTime(t *testing.T) {
	var c Caller
	c.Stamp(1, Lives(1, 2))
	lives, mark := c.LivesNs, c.MarkNs
	c.Stamp(1, Lives(1, 2))
	if c.LivesNs != lives || c.MarkNs != mark || lives == 0 || c.Lives != 1<<32|2 {
		t.Errorf("%+v", c)
	}
	c.Stamp(2, Lives(1, 2))
	if c.LivesNs != lives || c.MarkNs == mark {
		t.Errorf("%+v", c)
	}
}
