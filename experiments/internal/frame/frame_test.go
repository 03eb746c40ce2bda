// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"dx/experiments/internal/alloccount"
	"dx/experiments/internal/counters"
	"dx/libdx"
)

const (
	bytes = 64 << 10
	ring  = 16 << 10
	chunk = 4 << 10
)

// pair is a host and a guest in this process, which serves on a thread of its own.
func pair(t *testing.T, d Direction, room int) *Host {
	t.Helper()
	wait, err := libdx.Preset("balanced")
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("shm:dx-frame-test-%d", os.Getpid())
	h, err := Create(url, d, room, &wait, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	ready, said, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := Serve(url, &wait, int(said.Fd())); err != nil {
			t.Error(err)
			_ = said.Close()
		}
	})
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
		_ = ready.Close()
		_ = said.Close()
	})
	if _, err := ready.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := h.Prepare(bytes, chunk, &r); err != nil {
		t.Fatal(err)
	}
	return h
}

// hand sends one frame and returns what verification says.
func hand(t *testing.T, h *Host, sequence uint64, variant string, fault Fault) bool {
	t.Helper()
	right, _ := handAndTime(t, h, sequence, variant, fault)
	return right
}

// handAndTime also says when the guest was seen to have taken the verification up.
func handAndTime(t *testing.T, h *Host, sequence uint64, variant string, fault Fault) (right bool, takenUpNs int64) {
	t.Helper()
	var transfer Transfer
	var r Report
	if _, err := h.Make(sequence, variant == "place", fault); err != nil {
		t.Fatal(err)
	}
	var err error
	switch variant {
	case "place":
		err = h.Read(&transfer)
	case "copy":
		err = h.Copy(&transfer)
	case "stream":
		err = h.Stream(ring, chunk, &transfer)
	}
	if err != nil {
		t.Fatal(err)
	}
	if takenUpNs, err = h.Verify(variant == "place", &r); err != nil {
		t.Fatal(err)
	}
	if transfer.TotalNs < transfer.WriteNs || transfer.TotalNs < transfer.ExchangeNs || transfer.TotalNs <= 0 || r.Bytes != bytes {
		t.Errorf("%s: %+v, %+v", variant, transfer, r)
	}
	return r.Right, takenUpNs
}

func rooms() map[string]int { return map[string]int{"copy": bytes, "place": bytes, "stream": ring} }

// each runs a test for each direction and variant.
func each(t *testing.T, test func(t *testing.T, d Direction, variant string)) {
	for name, d := range directions {
		for variant := range rooms() {
			t.Run(name+"/"+variant, func(t *testing.T) { test(t, d, variant) })
		}
	}
}

var directions = map[string]Direction{"to guest": ToGuest, "to host": ToHost}

func TestSpoiltFramesAreFoundAndTheNextOneIsRight(t *testing.T) {
	each(t, func(t *testing.T, d Direction, variant string) {
		h := pair(t, d, rooms()[variant])
		for i, fault := range []Fault{FaultNone, FaultFlip, FaultNone, FaultSkipWrite, FaultNone, FaultSkipCopy, FaultNone} {
			if right := hand(t, h, uint64(i+1), variant, fault); right != (fault == FaultNone) {
				t.Errorf("frame %d with fault %d: right is %v", i, fault, right)
			}
		}
	})
}

// The frame is so large that the host gets the CPU before it is verified, also where the two have one
// CPU. If it does not, it finds the answer, and no time: the next frame has another chance.
func TestAGuestIsSeenToHaveTakenUpWhatItVerifies(t *testing.T) {
	const large = 32 << 20
	h := pair(t, ToGuest, large)
	var transfer Transfer
	var r Report
	if err := h.Prepare(large, chunk, &r); err != nil {
		t.Fatal(err)
	}
	for i, seen := uint64(1), false; !seen; i++ {
		_, made := h.Make(i, false, FaultNone)
		copied := h.Copy(&transfer)
		ns, err := h.Verify(false, &r)
		if err := errors.Join(made, copied, err); err != nil || !r.Right {
			t.Fatalf("frame %d: %v, right %v", i, err, r.Right)
		}
		seen = ns >= 0
	}
}

func TestAHostThatVerifiesTakesNothingUp(t *testing.T) {
	if _, ns := handAndTime(t, pair(t, ToHost, bytes), 1, "copy", FaultNone); ns != -1 {
		t.Errorf("%d ns", ns)
	}
}

func TestReadsLoadEveryByteAndSayHowOften(t *testing.T) {
	for name, d := range directions {
		t.Run(name, func(t *testing.T) { reads(t, pair(t, d, bytes)) })
	}
}

func reads(t *testing.T, h *Host) {
	hand(t, h, 7, "copy", FaultNone)
	var r Report
	for _, c := range []struct {
		phase        Phase
		bytes, loads uint64
	}{
		{ReadHot, bytes, bytes / 16}, {ReadCold, bytes, bytes / 16}, {StridedCold, bytes / 8, bytes / 64},
		{CopyCold, bytes, 0}, {WriteCold, bytes, 0},
	} {
		// The host knows the sum of the frame's words: another one is ErrStrange.
		if err := h.Phase(c.phase, &r); err != nil || r.Bytes != c.bytes || r.Loads != c.loads || r.Ns <= 0 || r.RoundtripNs < r.Ns {
			t.Errorf("phase %d: %+v, %v", c.phase, r, err)
		}
	}
}

func TestFramesAllocateNothing(t *testing.T) {
	each(t, allocations)
}

// allocations counts while frames are handed over. Making and verifying are left
// out: each digest of OpenSSL allocates one state and frees it.
func allocations(t *testing.T, d Direction, variant string) {
	h := pair(t, d, rooms()[variant])
	var transfer Transfer
	var r Report
	send := func() {
		var err error
		switch variant {
		case "place":
			err = h.Read(&transfer)
		case "copy":
			err = h.Copy(&transfer)
		case "stream":
			err = h.Stream(ring, chunk, &transfer)
		}
		notifyErr := h.Phase(Notify, &r)
		if _, memcpyErr := h.Memcpy(); err != nil || notifyErr != nil || memcpyErr != nil {
			t.Error(err, notifyErr, memcpyErr)
		}
	}
	hand(t, h, 1, variant, FaultNone)
	const frames = 50
	// Threads that the runtime starts meanwhile allocate, too, but not in every round.
	least := uint64(frames)
	for range 5 {
		before := alloccount.Calls()
		inGo := testing.AllocsPerRun(frames, send)
		if inGo != 0 {
			t.Errorf("%v allocations a frame in Go", inGo)
		}
		least = min(least, alloccount.Calls()-before)
	}
	if least != 0 {
		t.Errorf("%d frames: %d allocations in C", frames, least)
	}
}

func TestAllocationsAreCounted(t *testing.T) {
	before := alloccount.Calls()
	wait, err := libdx.Preset("balanced") // makes a C string
	if err != nil || alloccount.Calls() == before {
		t.Errorf("%d calls of malloc, %v, %v", alloccount.Calls(), wait, err)
	}
}

func TestBothSidesCount(t *testing.T) {
	for name, d := range directions {
		t.Run(name, func(t *testing.T) { counts(t, pair(t, d, bytes)) })
	}
}

func counts(t *testing.T, h *Host) {
	hand(t, h, 1, "copy", FaultNone)
	set := counters.Open(counters.Thread)
	defer set.Close()
	var host, guest counters.Values
	if err := h.Count(set, &host, &guest); err != nil {
		t.Fatal(err)
	}
	for side, v := range map[string]counters.Values{"host": host, "guest": guest} {
		if _, ok := v.Count(counters.PageFaults); !ok {
			t.Errorf("%s: page faults: %s", side, v.Why(counters.PageFaults))
		}
	}
}
