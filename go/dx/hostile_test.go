// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dx/libdx"
)

const (
	hostileCapacity = 301                   // not a multiple of a line
	hostileTimeout  = 10 * time.Millisecond // of a call that is attacked
	hostileMargin   = 5 * time.Second       // how late a loaded machine may notice it
	hostileSlots    = 3                     // of each side
	hostileGrowth   = 16 << 20              // bytes; what the runtime keeps comes and goes
)

var hostileEdges = []uint64{0, 1, 2, 3, 4, 5, 15, 16, hostileCapacity - 1, hostileCapacity,
	hostileCapacity + 1, 0xffff, 0xffffff, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1, 1 << 32,
	1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}

// hostilePeer writes into a region through a mapping of its own. Most of its
// bursts are undone and mended, so that there is traffic to hurt.
type hostilePeer struct {
	memory     []byte
	everything bool // not just what a guest may write
	dice       *rand.Rand
	writes     uint64
	progress   *atomic.Uint64 // of those attacked
	awaited    [2 * hostileSlots]atomic.Uint64

	callers, servers, counters, workers, cells, payload, stride, response uint64
}

func newHostilePeer(t *testing.T, host *Channel, everything bool, seed uint64) *hostilePeer {
	memory, err := unix.Mmap(host.FD(), 0, int(host.RegionBytes()), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(memory) })
	p := &hostilePeer{memory: memory, everything: everything, dice: rand.New(rand.NewPCG(seed, 1)),
		progress: new(atomic.Uint64)}
	for i, field := range []*uint64{&p.callers, &p.servers, &p.counters, &p.workers, &p.cells,
		&p.payload, &p.stride, &p.response} {
		*field = *p.word(64 + 8*uint64(i))
	}
	return p
}

func (p *hostilePeer) word(offset uint64) *uint64 {
	return (*uint64)(unsafe.Pointer(&p.memory[offset]))
}

// place returns eight bytes that a guest may write, or a host.
func (p *hostilePeer) place(guest uint64) uint64 {
	n := p.dice.Uint64N
	own := guest*hostileSlots + n(hostileSlots)
	other := (1-guest)*hostileSlots + n(hostileSlots)
	cell := own
	if n(2) == 0 {
		cell = 2*hostileSlots + guest*17 + n(17)
	}
	switch n(8) {
	case 0:
		return (1-guest)*8*n(16) + guest*(128+guest*128+8*n(3)) // header
	case 1:
		return 128 + guest*128 + 8*n(3) // peer
	case 2:
		return p.callers + own*libdx.Line + 8*n(5)
	case 3:
		return p.servers + other*libdx.Line + 8*n(5)
	case 4:
		return p.counters + own*128 + 8*n(16)
	case 5:
		return p.workers + (guest*16+n(2))*192 + 8*n(24)
	case 6:
		return p.cells + cell*libdx.Line + 8*n(8)
	}
	return p.payload + n(2*hostileSlots)*p.stride + p.response*(n(2)) + 8*n(p.response/8)
}

func (p *hostilePeer) value(before uint64) uint64 {
	n := p.dice.Uint64N
	edge := hostileEdges[n(uint64(len(hostileEdges)))]
	switch n(7) {
	case 0:
		return p.dice.Uint64()
	case 1:
		return edge
	case 2:
		return edge<<32 | hostileEdges[n(uint64(len(hostileEdges)))]&0xffffffff
	case 3:
		return before ^ 1<<n(64)
	case 4: // a cell that asks for a ring
		return before&^(1<<36-1) | before>>32&^15 | n(8)<<1 | 1
	case 5:
		return atomic.LoadUint64(p.word(8 * n(p.payload/8)))
	}
	caller := atomic.LoadUint64(p.word(p.callers + n(2*hostileSlots)*libdx.Line))
	return caller&^(0xff<<32) + n(7)<<32 + n(3) - 1
}

// burst writes and undoes most of it.
func (p *hostilePeer) burst() {
	type change struct{ offset, before uint64 }
	var changes []change
	for range 1 + p.dice.Uint64N(48) {
		guest := uint64(1)
		if p.everything {
			guest = p.dice.Uint64N(2)
		}
		offset := p.place(guest)
		before := atomic.LoadUint64(p.word(offset))
		mask := []uint64{1<<64 - 1, 1<<32 - 1, (1<<32 - 1) << 32}[p.dice.IntN(3)]
		atomic.StoreUint64(p.word(offset), before&^mask|p.value(before)&mask)
		changes = append(changes, change{offset, before})
		p.writes++
	}
	if p.dice.Uint64N(8) == 0 {
		return
	}
	for i := len(changes) - 1; i >= 0; i-- {
		atomic.StoreUint64(p.word(changes[i].offset), changes[i].before)
	}
	p.mend()
}

// mend says that the sides are open, and lets go of callers that wait in vain.
func (p *hostilePeer) mend() {
	for side := range uint64(2) {
		if side == 0 && !p.everything {
			continue
		}
		peer := 128 + side*128
		atomic.StoreUint32((*uint32)(unsafe.Pointer(p.word(peer+8))), uint32(p.dice.Uint32()))
		atomic.StoreUint64(p.word(peer+8), *p.word(peer + 8)&(1<<32-1)|2<<32) // open
		atomic.StoreUint64(p.word(peer+16), hostileSlots)
	}
	for slot := range p.awaited {
		if w := p.awaited[slot].Load(); w != 0 && (p.everything || slot < hostileSlots) {
			atomic.StoreUint64(p.word(p.servers+uint64(slot)*libdx.Line), w)
		}
	}
}

// run goes on until it is told that it is enough.
func (p *hostilePeer) run(enough <-chan struct{}) {
	for {
		p.burst()
		until, deadline := p.progress.Load()+16, time.Now().Add(3*time.Millisecond)
		for p.progress.Load() < until && time.Now().Before(deadline) {
			select {
			case <-enough:
				return
			default:
				p.flicker()
				p.flickerStream()
				runtime.Gosched()
			}
		}
	}
}

// flicker changes a length all the time, for whoever reads it twice. The first
// slots are those with traffic.
func (p *hostilePeer) flicker() {
	line := p.callers + hostileSlots*libdx.Line + libdx.CallerBytes
	if p.dice.Uint64N(2) == 0 {
		line = p.servers + p.dice.Uint64N(2)*libdx.Line + libdx.ServerBytes
	}
	bytes := (*uint32)(unsafe.Pointer(p.word(line)))
	before := atomic.LoadUint32(bytes)
	for i := range 4000 {
		atomic.StoreUint32(bytes, []uint32{hostileCapacity + 1, before}[i%2])
	}
}

// hostileTally is what those attacked have seen.
type hostileTally struct {
	right, wrong, failed, served, late atomic.Uint64
	streamed                           atomic.Uint64 // streams that were right
	impossible                         atomic.Pointer[string]
	timeout                            time.Duration // of a call
}

func (y *hostileTally) cannotBe(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	y.impossible.Store(&text)
}

func hostileMayEndWith(err error) bool {
	for _, may := range []error{nil, context.DeadlineExceeded, ErrTimeout, ErrPeerClosed, ErrNoPeer,
		ErrLost, ErrRequestTooLarge, ErrResponseTooLarge, ErrCancelled, ErrType, ErrCorrupt} {
		if errors.Is(err, may) {
			return true
		}
	}
	return false
}

func hostileAnswer(request, answer []byte) int32 {
	for i, b := range request {
		answer[len(request)-1-i] = b ^ 0x5a
	}
	return int32(3 * len(request))
}

// call makes one call, in place or not, and judges what comes back.
func (y *hostileTally) call(c *Caller, p *hostilePeer, number uint64, room []byte) {
	request := make([]byte, 8+number*31%(hostileCapacity-8))
	binary.LittleEndian.PutUint64(request, number)
	ctx, cancel := context.WithTimeout(context.Background(), y.timeout)
	defer cancel()
	began := time.Now()
	var reply Reply
	var err error
	if in := c.Request(); in != nil && number%2 == 0 {
		reply, err = c.CallInPlace(ctx, TypeUser, copy(in, request))
	} else {
		reply, err = c.Call(ctx, TypeUser, request, room)
	}
	if time.Since(began) > y.timeout+hostileMargin {
		y.late.Add(1)
	}
	if !hostileMayEndWith(err) {
		y.cannotBe("a call ended with %v", err)
	}
	expected := make([]byte, len(request))
	switch status := hostileAnswer(request, expected); {
	case err != nil:
		y.failed.Add(1)
	case len(reply.Data) > hostileCapacity:
		y.cannotBe("an answer of %d bytes", len(reply.Data))
	case bytes.Equal(bytes.Clone(reply.Data), expected) && reply.Status == status:
		y.right.Add(1)
	default:
		y.wrong.Add(1)
	}
	p.await(c, err)
}

// callOn calls on a caller that it renews now and then, until told otherwise.
func (y *hostileTally) callOn(ch *Channel, p *hostilePeer, number uint64, enough <-chan struct{}) {
	room := make([]byte, hostileCapacity)
	for {
		c, err := ch.Caller(context.Background())
		if err != nil {
			y.cannotBe("no caller: %v", err)
			return
		}
		for range 64 {
			select {
			case <-enough:
				_ = c.Close()
				return
			default:
			}
			if number%4 == 3 {
				y.stream(c, p, number)
			} else {
				y.call(c, p, number, room)
			}
			number++
		}
		_ = c.Close()
	}
}

// serveOn serves again whenever the other side seems to have closed.
func (y *hostileTally) serveOn(ctx context.Context, ch *Channel, p *hostilePeer) {
	handler := HandlerFunc(func(q *Request, response []byte) (int, int32) {
		if len(q.Data) > hostileCapacity || len(response) != hostileCapacity ||
			q.Type < TypeUser || q.Type > TypeMax || q.Slot < 0 || q.Slot >= 2*hostileSlots {
			y.cannotBe("a request of %d bytes, type %d, on slot %d with room for %d", len(q.Data),
				q.Type, q.Slot, len(response))
			return 0, -1
		}
		status := hostileAnswer(q.Data, response)
		y.served.Add(1)
		p.progress.Add(1)
		return len(q.Data), status
	})
	streams := StreamHandlerFunc(func(s *Stream) int32 { return y.serveStream(s, p) })
	for n := 0; ctx.Err() == nil; n++ {
		err := ch.ServeWith(ctx, handler,
			ServeOptions{Workers: 1 + n%2, CopyRequests: n%3 == 0, Streams: streams})
		if !errors.Is(err, ErrPeerClosed) && !errors.Is(err, context.Canceled) {
			y.cannotBe("serving ended with %v", err)
			return
		}
	}
}

func hostileWait(t *testing.T, park Park) Wait {
	w := mustPreset(t, "balanced")
	w.SpinMin, w.SpinMax, w.SpinStart, w.Park = 0, 300, 20, park
	return w
}

// hostilePair is a host and a guest on one region.
func hostilePair(t *testing.T, w *Wait) (host, guest *Channel) {
	t.Helper()
	host, err := Create("memfd:", Config{Slots: hostileSlots, GuestSlots: hostileSlots,
		RequestBytes: hostileCapacity, ResponseBytes: hostileCapacity, Options: Options{Wait: w}})
	if err != nil {
		t.Fatal(err)
	}
	guest, err = Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), Options{Wait: w})
	if err != nil {
		t.Fatal(err)
	}
	return host, guest
}

// hostileTraffic runs calls and servers on both sides until the time is over;
// with a peer they are attacked meanwhile.
func hostileTraffic(t *testing.T, host, guest *Channel, p *hostilePeer, attack bool,
	enough func(*hostileTally) bool) *hostileTally {
	t.Helper()
	y := &hostileTally{timeout: 10 * time.Second}
	if attack {
		y.timeout = hostileTimeout
	}
	ctx, stopServing := context.WithCancel(context.Background())
	over := make(chan struct{})
	attackOver := make(chan struct{})
	var calls, serving, attacking sync.WaitGroup
	for _, ch := range []*Channel{host, guest} {
		serving.Go(func() { y.serveOn(ctx, ch, p) })
	}
	for i, ch := range []*Channel{host, host, guest} {
		calls.Go(func() { y.callOn(ch, p, uint64(i)<<32, over) })
	}
	if attack {
		attacking.Go(func() { p.run(attackOver) })
	}
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !enough(y) {
		<-look.C
	}
	close(over)
	calls.Wait()
	stopServing()
	serving.Wait() // they stop although the attack goes on
	close(attackOver)
	attacking.Wait()
	for _, ch := range []*Channel{guest, host} {
		if err := ch.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if what := y.impossible.Load(); what != nil {
		t.Error(*what)
	}
	if late := y.late.Load(); late != 0 {
		t.Errorf("%d calls ended late", late)
	}
	return y
}

func openDescriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func heapBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A peer that scribbles over the region makes calls fail and no more; afterwards
// a new region is as good as ever. DX_TEST_SECONDS makes it longer.
func TestHostilePeer(t *testing.T) {
	parks := []Park{ParkFutex, ParkPoll, ParkNever, ParkSem}
	seconds, err := strconv.ParseFloat(os.Getenv("DX_TEST_SECONDS"), 64)
	if err != nil {
		seconds = 2
	}
	each := time.Duration(seconds * float64(time.Second) / float64(2*len(parks)))
	for i := range 2 * len(parks) {
		park, everything := parks[i/2], i%2 != 0
		t.Run(fmt.Sprintf("%v,everything=%v", park, everything), func(t *testing.T) {
			w := hostileWait(t, park)
			descriptors, heap := openDescriptors(t), heapBytes()
			host, guest := hostilePair(t, &w)
			p := newHostilePeer(t, host, everything, uint64(i))
			until := time.Now().Add(each)
			y := hostileTraffic(t, host, guest, p, true, func(y *hostileTally) bool {
				now := time.Now()
				some := y.right.Load() > 0 && y.served.Load() > 0 && y.streamed.Load() > 0
				return now.After(until) && (some || now.After(until.Add(10*time.Second)))
			})
			t.Logf("streams right %d; right %d, wrong %d, failed %d, served %d, writes %d", y.streamed.Load(), y.right.Load(),
				y.wrong.Load(), y.failed.Load(), y.served.Load(), p.writes)
			if y.right.Load() == 0 || y.served.Load() == 0 || y.streamed.Load() == 0 || p.writes < 100 {
				t.Error("this was no test: no traffic, or no attack")
			}
			if now := heapBytes(); now > heap+hostileGrowth {
				t.Errorf("the heap grew from %d to %d bytes", heap, now)
			}
			if now := openDescriptors(t); now != descriptors {
				t.Errorf("%d descriptors are open, %d were before", now, descriptors)
			}
			host, guest = hostilePair(t, &w)
			y = hostileTraffic(t, host, guest, newHostilePeer(t, host, false, 0), false,
				func(y *hostileTally) bool { return y.right.Load()+y.wrong.Load()+y.failed.Load() >= 300 })
			if y.wrong.Load() != 0 || y.failed.Load() != 0 {
				t.Errorf("with new peers %d answers were wrong and %d calls failed", y.wrong.Load(),
					y.failed.Load())
			}
		})
	}
}
