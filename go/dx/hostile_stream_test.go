// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"dx/libdx"
)

// hostileStreamBytes is more than two rings.
const hostileStreamBytes = 2*hostileCapacity + 77

func hostileStreamMayEndWith(err error) bool {
	return hostileMayEndWith(err) || err == io.EOF || errors.Is(err, ErrEnded)
}

// serveStream sends back what comes, in place and out of it.
func (y *hostileTally) serveStream(s *Stream, p *hostilePeer) int32 {
	if s.Type() < TypeUser || s.Type() > TypeMax || s.Slot() < 0 || s.Slot() >= 2*hostileSlots {
		y.cannotBe("a stream of type %d on slot %d", s.Type(), s.Slot())
		return -1
	}
	if len(s.in.ring) > hostileCapacity || len(s.out.ring) > hostileCapacity {
		y.cannotBe("rings of %d and %d bytes", len(s.in.ring), len(s.out.ring))
		return -1
	}
	n, err := io.CopyN(s, s, hostileStreamBytes)
	if !hostileStreamMayEndWith(err) && !errors.Is(err, ErrStopped) && !errors.Is(err, ErrPeerDead) &&
		!isInvalid(err) { // it said that the ring has no byte
		y.cannotBe("a served stream ended with %v", err)
	}
	y.served.Add(1)
	p.progress.Add(1)
	return int32(n)
}

func isInvalid(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == libdx.ErrInvalid
}

// streamTimeout grows as streams fail one after the other: where processors are few, the many turns of
// a stream take longer than a call's deadline.
func (y *hostileTally) streamTimeout() time.Duration {
	if !y.attacked() {
		return y.timeout
	}
	return y.timeout << min(y.streamsFailed.Load()/8, 8)
}

// stream makes one stream, of which one goroutine writes while this one reads, and
// judges what comes back.
func (y *hostileTally) stream(c *Caller, p *hostilePeer, number uint64) {
	timeout := y.streamTimeout()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	began := time.Now()
	status, n, err := int32(0), int64(0), error(nil)
	s, err := c.OpenStream(ctx, TypeUser, StreamOptions{RequestRing: int(number % hostileCapacity)})
	if err == nil {
		var writer sync.WaitGroup
		var wrote error
		writer.Go(func() {
			_, wrote = io.CopyN(s, &pattern{}, hostileStreamBytes)
			s.CloseWrite()
		})
		n, err = io.Copy(&pattern{}, s)
		writer.Wait()
		if !hostileStreamMayEndWith(wrote) {
			y.cannotBe("writing ended with %v", wrote)
		}
		switch {
		case !hostileStreamMayEndWith(err): // a byte that is not the pattern's
			_ = s.Close()
			n, err = -1, nil
		case err != nil && number%5 == 0:
			_ = s.Close()
		default:
			status, err = s.End()
		}
	}
	if time.Since(began) > timeout+hostileMargin {
		y.late.Add(1)
	}
	if !hostileStreamMayEndWith(err) {
		y.cannotBe("a stream ended with %v", err)
	}
	switch {
	case err != nil:
		y.fail("a stream", err, began)
		y.streamsFailed.Add(1)
	case n == hostileStreamBytes && status == hostileStreamBytes:
		y.streamed.Add(1)
		y.streamsFailed.Store(0)
	default:
		y.wrong.Add(1)
	}
	p.await(c, err)
}

// await says which word would let a caller go on whose call has failed.
func (p *hostilePeer) await(c *Caller, err error) {
	awaited := uint64(0)
	if err != nil || !c.ready {
		awaited = word(c.epoch, libdx.ServerReady, 0)
		if c.abandoned {
			awaited = word(c.epoch, libdx.ServerAcknowledged, c.sequence)
		}
	}
	p.awaited[c.raw.View().Slot].Store(awaited)
	p.progress.Add(1)
}

// flickerStream changes a progress word all the time.
func (p *hostilePeer) flickerStream() {
	place := p.callers + (hostileSlots+p.dice.Uint64N(2))*libdx.Line + libdx.CallerSent
	if p.dice.Uint64N(2) == 0 {
		place = p.servers + p.dice.Uint64N(2)*libdx.Line + libdx.ServerTaken
	}
	at := p.word(place + 8*p.dice.Uint64N(2))
	before := atomic.LoadUint64(at)
	value := before + p.dice.Uint64N(3)
	if p.dice.Uint64N(2) == 0 {
		value = p.value(before)
	}
	for i := range 200 {
		atomic.StoreUint64(at, []uint64{value, before}[i%2])
	}
}
