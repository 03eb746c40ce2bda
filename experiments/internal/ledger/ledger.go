// SPDX-License-Identifier: Apache-2.0

// Package ledger is memory that the processes of a soak share with their supervisor, beside the
// region under test: what each caller has sent and got, and what was handled. It survives every
// kill, so that no call is forgotten and none can be handled twice unseen.
//
// Each field has one writer at a time, so that counting takes a plain store in a line that nobody
// else wants; experiments/internal/cload/soak.h is the same in C, and is compared at compile time.
package ledger

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CallersMax is how many callers have a place.
const CallersMax = 1024

// FailedKinds is the number of kinds of failed calls: the status of libdx, without its sign.
const FailedKinds = 32

// Header is about all callers.
type Header struct {
	// Writer: the supervisor.
	Mark       uint32 // counts faults; callers say which they have seen
	Scribbling uint32 // 1: answers may be forged
	_          [56]byte
	// Writers: the guests, which add atomically.
	BadRequests uint64 // requests that no caller has sent
	_           [4024]byte
}

// Caller is about one caller. Writer up to Failed: the host; behind it: the guest.
type Caller struct {
	Issued      uint64 // the number of the latest request; each is used once in all lives
	Verified    uint64 // right answers
	WrongStale  uint64 // the answer to another request of this caller
	WrongOther  uint64 // the answer to a request of another caller
	WrongBytes  uint64 // an answer to nothing
	ForgedRight uint64 // the same while somebody scribbles: right answers,
	ForgedWrong uint64 // wrong ones,
	ForgedError uint64 // and failed calls

	Lives    uint64 // host's and guest's life (32 bits each) of the latest verified call
	LivesNs  int64  // when the first one with both was verified
	Mark     uint64 // the mark that the latest verified call had seen when it began
	MarkNs   int64  // when the first one with it was verified
	NoticeNs int64  // when the latest row of calls without a peer began to fail
	Asked    uint64 // the latest wrong answer: the number of the request,
	GotFirst uint64 // and the first two words of the answer with every bit flipped
	GotNext  uint64

	Failed [FailedKinds]uint64

	ByLife [HostLives]Handled
}

// HostLives is how many lives of the host in a row are told apart. A guest may still be handling
// what a dead host has sent when another guest serves the next host, in memory of its own.
const HostLives = 4

// Handled is what was handled for one life of the host. Writer: its guest.
type Handled struct {
	Life     uint64
	Last     uint64 // the number of the latest request
	Count    uint64
	Repeated uint64 // requests that came again, or behind a later one
}

// Ledger is the mapped memory.
type Ledger struct {
	*Header
	Callers []Caller
	file    *os.File
}

const (
	headerBytes = int(unsafe.Sizeof(Header{}))
	callerBytes = int(unsafe.Sizeof(Caller{}))
)

// Create makes a ledger without a name.
func Create(callers int) (*Ledger, error) {
	fd, err := unix.MemfdCreate("dx-ledger", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	file := os.NewFile(uintptr(fd), "ledger")
	if err := file.Truncate(int64(headerBytes + callers*callerBytes)); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return Open(file, callers)
}

// Open maps the ledger of a descriptor, which it then owns.
func Open(file *os.File, callers int) (*Ledger, error) {
	memory, err := unix.Mmap(int(file.Fd()), 0, headerBytes+callers*callerBytes,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("ledger: %w", err)
	}
	base := unsafe.Pointer(unsafe.SliceData(memory))
	return &Ledger{
		Header:  (*Header)(base),
		Callers: unsafe.Slice((*Caller)(unsafe.Add(base, headerBytes)), callers),
		file:    file,
	}, nil
}

// File is the descriptor, to be inherited.
func (l *Ledger) File() *os.File { return l.file }

// Address is where the memory lies.
func (l *Ledger) Address() unsafe.Pointer { return unsafe.Pointer(l.Header) }

// Close unmaps the memory; nobody may use it afterwards.
func (l *Ledger) Close() error {
	size := headerBytes + len(l.Callers)*callerBytes
	err := unix.Munmap(unsafe.Slice((*byte)(l.Address()), size))
	if closeErr := l.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// IsScribbling says whether answers may be forged.
func (h *Header) IsScribbling() bool { return atomic.LoadUint32(&h.Scribbling) != 0 }

// Now is the time of the stamps: the monotonic clock, which all processes share.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // cannot be: every Linux has it
	}
	return t.Nano()
}

// Lives packs a host's life and a guest's.
func Lives(host, guest uint32) uint64 { return uint64(host)<<32 | uint64(guest) }

// Stamp notes which mark and which lives a verified call had, and when if that is news. The time
// is written first, so that a reader who sees the news finds it.
func (c *Caller) Stamp(mark uint32, lives uint64) {
	if c.Lives == lives && c.Mark == uint64(mark) {
		return
	}
	now := Now()
	if c.Lives != lives {
		atomic.StoreInt64(&c.LivesNs, now)
		atomic.StoreUint64(&c.Lives, lives)
	}
	if c.Mark != uint64(mark) {
		atomic.StoreInt64(&c.MarkNs, now)
		atomic.StoreUint64(&c.Mark, uint64(mark))
	}
}

// Handle notes that a handler has begun a request of a life of the host. Counts go on from life to
// life; numbers always grow.
func (c *Caller) Handle(life uint32, number uint64) {
	h := &c.ByLife[life%HostLives]
	if uint64(life) < h.Life || number <= h.Last {
		h.Repeated++
		return
	}
	h.Life, h.Last = uint64(life), number
	h.Count++
}

// Handled sums up what was handled for a caller.
func (c *Caller) Handled() (count, repeated uint64) {
	for i := range c.ByLife {
		count += atomic.LoadUint64(&c.ByLife[i].Count)
		repeated += atomic.LoadUint64(&c.ByLife[i].Repeated)
	}
	return count, repeated
}

// Totals are the sums over all callers.
type Totals struct {
	Issued, Verified, Handled, Repeated, BadRequests uint64
	WrongStale, WrongOther, WrongBytes               uint64
	ForgedRight, ForgedWrong, ForgedError            uint64
	Failed                                           [FailedKinds]uint64
}

// Wrong counts wrong answers of every kind.
func (t *Totals) Wrong() uint64 { return t.WrongStale + t.WrongOther + t.WrongBytes }

// Sum reads all counters; while calls run they need not be of one instant.
func (l *Ledger) Sum() Totals {
	t := Totals{BadRequests: atomic.LoadUint64(&l.BadRequests)}
	for i := range l.Callers {
		c := &l.Callers[i]
		// What follows from something else is read before it: verified <= handled <= issued.
		t.Verified += atomic.LoadUint64(&c.Verified)
		handled, repeated := c.Handled()
		t.Handled += handled
		t.Repeated += repeated
		for _, f := range []struct {
			sum  *uint64
			from *uint64
		}{
			{&t.Issued, &c.Issued}, {&t.WrongStale, &c.WrongStale},
			{&t.WrongOther, &c.WrongOther}, {&t.WrongBytes, &c.WrongBytes},
			{&t.ForgedRight, &c.ForgedRight}, {&t.ForgedWrong, &c.ForgedWrong},
			{&t.ForgedError, &c.ForgedError},
		} {
			*f.sum += atomic.LoadUint64(f.from)
		}
		for kind := range t.Failed {
			t.Failed[kind] += atomic.LoadUint64(&c.Failed[kind])
		}
	}
	return t
}
