// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"math/rand/v2"
	"runtime"
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
	hostileMargin   = 10 * time.Minute      // how late a loaded machine may notice it
	hostileSlots    = 4                     // of each side
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
	writes     atomic.Uint64
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
		p.writes.Add(1)
	}
	if p.dice.Uint64N(8) == 0 {
		return
	}
	for i := len(changes) - 1; i >= 0; i-- {
		atomic.StoreUint64(p.word(changes[i].offset), changes[i].before)
	}
	p.mend()
}

// mend says that the sides are open, and lets go of callers whose wait cannot end.
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
