// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// Message types: 0 to 127 belong to dx, TypeUser to TypeMax to its users.
const (
	TypePing uint32 = libdx.TypePing // answered by the library with an empty response
	TypeUser uint32 = libdx.TypeUser
	TypeMax  uint32 = libdx.TypeMax
)

// Path says which code runs the calls.
type Path int

const (
	// PathNative is Go and assembly, without cgo.
	PathNative Path = iota
	// PathCgo makes one cgo call for each call, which holds an OS thread until
	// the answer is there. It exists so that its cost can be measured.
	PathCgo
)

// Options are what either side may choose for itself.
type Options struct {
	Wait *Wait // nil: what DefaultWait returns
	Path Path

	liveness  time.Duration // for tests: libdx.SetLiveness says what; 0: as always
	slowFence bool          // for tests: as where the kernel has no membarrier
}

func init() {
	libdx.SetLiveness = func(options any, longest time.Duration) {
		options.(*Options).liveness = longest
	}
}

// Config is what a host chooses for a new region.
type Config struct {
	Slots         int // slots on which the host calls; 0 means 1
	GuestSlots    int // slots on which the guest calls
	RequestBytes  int // capacity of a request
	ResponseBytes int // capacity of a response
	Options
}

// Channel is one side's handle on a region. All methods may be called by any
// goroutine.
type Channel struct {
	raw      libdx.Channel
	wait     Wait
	path     Path
	parker   parker
	doorbell *doorbell     // nil where there is no rendezvous; all places of a Listener share one
	liveness time.Duration // longest time without a look whether the peer lives, of who spins
	sleep    time.Duration // the same of who sleeps; at first, of a server
	stopped  atomic.Bool
	crowd    crowd

	slowFence bool
	switches  *uint64 // of histograms

	mu      sync.Mutex
	users   int  // callers and servers that still hold pointers into the region
	closing bool // Close was called; the last user unmaps
	closed  bool

	slots slots
	bytes uint64 // of the region
}

// Create creates the region named by url ("shm:NAME", "file:PATH", "unix:PATH" or "memfd:")
// and becomes its host. It does not wait for a guest. The region of a dead host
// is taken over; that of a living one is ErrHostExists.
func Create(url string, config Config) (*Channel, error) {
	channels, err := createPlaces(url, 1, config)
	if err != nil {
		return nil, err
	}
	return channels[0], nil
}

func newChannel(options Options) (*Channel, error) {
	if options.Wait == nil {
		wait, err := DefaultWait()
		if err != nil {
			return nil, err
		}
		options.Wait = &wait
	}
	if err := options.Wait.Check(); err != nil {
		return nil, err
	}
	return &Channel{wait: *options.Wait, path: options.Path, sleep: options.liveness,
		slowFence: options.slowFence}, nil
}

// ready makes a channel of a raw one. shared is the doorbell of another place of the same host.
func (ch *Channel) ready(shared *doorbell) *Channel {
	ch.slots.init(ch)
	ch.bytes = ch.raw.RegionBytes()
	ch.switches = ch.raw.Switches()
	ch.parker.init(ch)
	ch.liveness = libdx.LivenessNs
	if ch.path == PathNative {
		ch.doorbell = openDoorbell(ch.raw.TakeDoorbell(), shared)
	}
	if ch.doorbell != nil {
		ch.liveness = libdx.LivenessLinkNs
	}
	if ch.sleep == 0 {
		ch.sleep = libdx.LivenessNs
	} else {
		ch.raw.SetLiveness(ch.sleep)
	}
	return ch
}

// ParkKind says how this side parks now: as its strategy says, or ParkPoll where the
// other side is under another kernel (a VM) and cannot wake it; then a wake-up takes
// up to PollNs.
func (ch *Channel) ParkKind() Park {
	if ch.enter() != nil {
		return ParkNever
	}
	defer func() { _ = ch.leave() }()
	return Park(ch.raw.Park())
}

// Notice says what of the URL could not be had, why, and what is done instead: of
// ivshmem:doorbell without vfio, for example. It is empty if nothing.
func (ch *Channel) Notice() string {
	if ch.enter() != nil {
		return ""
	}
	defer func() { _ = ch.leave() }()
	return ch.raw.Notice()
}

// BindDevice binds the ivshmem device of a QEMU guest to vfio-pci, once after each
// boot and as root, so that ivshmem:doorbell can be woken by interrupts.
func BindDevice(url string) error { return ours(libdx.BindDevice(url)) }

// Slots returns the number of slots on which this side calls.
func (ch *Channel) Slots() int { return ch.slots.total }

// enter keeps the region mapped until leave.
func (ch *Channel) enter() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closing {
		return ErrStopped
	}
	ch.users++
	return nil
}

func (ch *Channel) leave() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.users--
	return ch.unmapIfUnused()
}

// unmapIfUnused is called with mu held.
func (ch *Channel) unmapIfUnused() error {
	if !ch.closing || ch.closed || ch.users > 0 {
		return nil
	}
	ch.closed = true
	ch.doorbell.close()
	return ours(ch.raw.Close())
}

// Stop ends all calls in flight and Serve with ErrStopped. New ones fail, too.
func (ch *Channel) Stop() {
	if ch.enter() != nil {
		return
	}
	ch.stopped.Store(true)
	ch.slots.end() // first, so that nobody is given the slot of a call that ends now
	ch.raw.Stop()
	ch.parker.stop()
	_ = ch.leave()
}

// Close stops the channel and releases the region: at once, or when the last
// Caller has been closed and Serve has returned. It may be called again.
func (ch *Channel) Close() error {
	ch.Stop()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.closing = true
	return ch.unmapIfUnused()
}

// Call is Caller.Call on a Caller of the channel's own: convenient, and some
// 100 ns slower than a Caller that a goroutine keeps. It waits for a slot that is
// free and that no handler of a call that was given up still uses: first come, first
// served, together with those who wait in OpenCaller, and without an OS thread.
// If ctx ends meanwhile, the error is ctx.Err() and ErrNoSlot by errors.Is.
func (ch *Channel) Call(ctx context.Context, kind uint32, request, response []byte) (Reply, error) {
	c, err := ch.slots.take(ctx, true)
	if err != nil {
		return Reply{}, err
	}
	defer ch.slots.give(c)
	return c.Call(ctx, kind, request, response)
}
