// SPDX-License-Identifier: Apache-2.0

// Package exchange measures calls between two processes: this one, and a guest
// that it starts from the same program. It is what pingpong, sweep and whatever
// searches for settings have in common.
// A program that uses it, and the TestMain of its tests, begins with peer.Become.
package exchange

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/result"
	"dx/go/dx"
)

// Config is one configuration: one cell of a grid. Begin with Default.
type Config struct {
	Threads  int // callers: goroutines, or threads of a host in C
	InFlight int `json:",omitzero"` // calls of each caller at a time, by a queue; 0: each waits for its answer
	// HandlerTime is what each handler of a guest takes beside the copies, and Concurrency, in Go, how many of
	// them run at once; 0: on the serving goroutine.
	HandlerTime time.Duration `json:",omitzero"`
	Concurrency int           `json:",omitzero"`
	Payload     int           // bytes of each request and each response
	Duration    time.Duration // of the throughput part; the latency part takes half as long
	Direction   string        `json:",omitzero"` // who calls: host-guest, guest-host
	Host        string        // language of the host: go, c
	Guest       string        // language of the guest: go, c
	Path        string        // how Go calls: native, cgo
	Transport   string        // memfd, shm, file, unix, ivshmem, ivshmem-doorbell
	Wait        dx.Wait       // of both sides
	Verify      bool          // check the content of every call
	Histogram   int           `json:",omitzero"` // one call in so many is measured by histograms meanwhile; 0: none
	Pin         string        // auto gives each side its half of the CPUs, none does not
	Procs       int           // GOMAXPROCS of a Go side; 0: the CPUs of its half
	// LockOSThread ties each calling and serving goroutine to a thread of its own.
	LockOSThread bool
	RatePerS     float64 // of an open loop: calls of all callers; 0: a closed loop
	Pace         string  // how an open loop waits: sleep, spin
	Dir          string  // an existing folder for the region of file and unix
	// GuestRelax is between two looks of a guest in a virtual machine: none, pause, or auto,
	// which is none, unless the bare loop is faster with pause there. Elsewhere Wait says it.
	GuestRelax string `json:",omitzero"`
	// Machines has the virtual machine of ivshmem and ivshmem-doorbell; nil: each Measure boots one of its own.
	Machines *boundary.Pool `json:"-"`
}

// Bounds of a Config.
const (
	ThreadsMax  = 4096 // callers, and calls in flight
	PayloadMax  = 1 << 20
	HandlerMax  = time.Second
	DurationMin = 10 * time.Millisecond
	DurationMax = time.Hour
	ProcsMax    = 1024
	RateMax     = 1e7
)

// RelaxAuto is the GuestRelax that is found by measuring.
const RelaxAuto = "auto"

// Default returns one caller with the balanced strategy, both sides in Go.
func Default() Config {
	wait, err := dx.Preset("balanced")
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	return Config{Threads: 1, Payload: 64, Duration: time.Second, Direction: result.HostToGuest, Host: "go", Guest: "go",
		Path: "native", Transport: "memfd", Wait: wait, Pin: "auto", Pace: PaceSleep, GuestRelax: RelaxAuto}
}

// A FieldError says which field of a Config cannot be, by its name in flags and
// files.
type FieldError struct {
	Field, Text string
}

func (e *FieldError) Error() string { return e.Field + " " + e.Text }

// FlagError has a FieldError name its flag.
func FlagError(err error) error {
	if field, ok := errors.AsType[*FieldError](err); ok {
		return fmt.Errorf("-%s %s", strings.ReplaceAll(field.Field, "_", "-"), field.Text)
	}
	return err
}

func wrong(field, format string, args ...any) error {
	return &FieldError{field, fmt.Sprintf(format, args...)}
}

func oneOf(field, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return wrong(field, "%q is none of: %s", value, strings.Join(allowed, ", "))
}

// Check returns a FieldError for the first field that cannot be, and the error
// of the library for a wait strategy that cannot.
func (c Config) Check() error {
	for _, err := range []error{
		oneOf("direction", c.Direction, result.HostToGuest, result.GuestToHost),
		oneOf("host", c.Host, "go", "c"),
		oneOf("guest", c.Guest, "go", "c"),
		oneOf("path", c.Path, "native", "cgo"),
		oneOf("transport", c.Transport, "memfd", "shm", "file", "unix", boundary.Transport, boundary.TransportDoorbell,
			TransportSerial, TransportTCP, TransportVsock, TransportBell),
		oneOf("pin", c.Pin, "auto", "none"),
		oneOf("pace", c.Pace, PaceSleep, PaceSpin),
		oneOf("guest_relax", c.GuestRelax, RelaxAuto, "none", "pause"),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case c.Threads < 1 || c.Threads > ThreadsMax:
		return wrong("threads", "%d: 1 to %d", c.Threads, ThreadsMax)
	case c.InFlight < 0 || c.slots() > ThreadsMax:
		return wrong("inflight", "%d with %d callers: 1 to %d calls in flight of all callers", c.InFlight, c.Threads, ThreadsMax)
	case c.InFlight > 0 && (c.Path == "cgo" || c.RatePerS > 0 || c.Direction == result.GuestToHost || isAlternative(c.Transport) || c.Transport == TransportBell):
		return wrong("inflight", "%d: a queue is for a closed loop from the host, without cgo, on a transport of dx", c.InFlight)
	case c.HandlerTime < 0 || c.HandlerTime > HandlerMax:
		return wrong("handler_time", "%v: 0 to %v", c.HandlerTime, HandlerMax)
	case c.Concurrency < 0 || c.Concurrency > ThreadsMax:
		return wrong("concurrency", "%d: 0 (on the serving goroutine) to %d", c.Concurrency, ThreadsMax)
	case (c.HandlerTime > 0 || c.Concurrency > 1) && (c.Path == "cgo" || c.Direction == result.GuestToHost || isAlternative(c.Transport) || c.Transport == TransportBell):
		return wrong("handler_time", "%v, concurrency %d: they are of a guest that serves, without cgo, on a transport of dx", c.HandlerTime, c.Concurrency)
	case c.Concurrency > 1 && c.Guest != "go":
		return wrong("concurrency", "%d: handlers at once are of a guest in Go", c.Concurrency)
	case c.Histogram < 0 || c.Histogram > 0 && (isAlternative(c.Transport) || c.Transport == TransportBell):
		return wrong("histogram", "%d: 0 (none) or one call in so many, on a transport of dx", c.Histogram)
	case c.Payload < 0 || c.Payload > PayloadMax:
		return wrong("payload", "%d: 0 to %d bytes", c.Payload, PayloadMax)
	case c.Verify && c.Payload < 8:
		return wrong("verify", "with a payload of %d: at least 8 bytes are needed to tell calls apart", c.Payload)
	case c.Duration < DurationMin || c.Duration > DurationMax:
		return wrong("duration", "%v: 10ms to 1h", c.Duration)
	case c.Procs < 0 || c.Procs > ProcsMax:
		return wrong("procs", "%d: 0 (by itself) to %d", c.Procs, ProcsMax)
	case !(c.RatePerS >= 0 && c.RatePerS <= RateMax):
		return wrong("rate", "%g: 0 (a closed loop) to %g calls a second", c.RatePerS, RateMax)
	case c.LockOSThread && c.noGo():
		return wrong("lock_os_thread", "is about goroutines, but both sides are C")
	case c.Path == "cgo" && c.noGo():
		return wrong("path", "cgo is about a Go side, but both sides are C")
	case c.Wait.Park == dx.ParkDoorbell && c.Transport != "unix" && c.Transport != boundary.TransportDoorbell:
		return wrong("park", "doorbell needs the transport unix or %s, not %s", boundary.TransportDoorbell, c.Transport)
	}
	if err := c.checkTransport(); err != nil {
		return err
	}
	return c.Wait.Check()
}

// checkTransport checks what not every transport and direction can do.
func (c Config) checkTransport() error {
	if c.Direction == result.GuestToHost && (c.Host != "go" || c.RatePerS > 0 || isAlternative(c.Transport)) {
		return wrong("direction", "%s takes a host in Go, a closed loop, and a transport of dx", result.GuestToHost)
	}
	if c.Transport == TransportBell && (c.Threads != 1 || c.Host != "c" || c.Guest != "c" || c.Verify || c.RatePerS > 0 ||
		c.Direction != result.HostToGuest) {
		return wrong("transport", "%s takes one caller, both sides in C, a closed loop from the host, and no verification", c.Transport)
	}
	if isAlternative(c.Transport) && (c.Threads != 1 || c.Payload == 0 || c.Host != "go" || c.Guest != "go") {
		return wrong("transport", "%s takes one caller, a payload, and both sides in Go", c.Transport)
	}
	return nil
}

// slots is how many the callers need.
func (c Config) slots() int { return c.Threads * max(c.InFlight, 1) }

// noGo says that both sides are C.
func (c Config) noGo() bool { return c.Host == "c" && c.Guest == "c" }

// FitSpin moves spin_start and spin_min, unless they were given, to where the rest
// of the strategy allows: one key is then enough to ask for more or less spinning.
func FitSpin(w *dx.Wait, minGiven, startGiven bool) {
	if !startGiven {
		w.SpinStart = min(max(w.SpinStart, w.SpinMin), w.SpinMax)
	}
	if !minGiven {
		w.SpinMin = min(w.SpinMin, w.SpinMax, w.SpinStart)
	}
}
