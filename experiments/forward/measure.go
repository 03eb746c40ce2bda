// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"dx/experiments/internal/result"
	"dx/experiments/internal/stat"
)

// measured is a line of the results.
type measured struct {
	Experiment  string           `json:"experiment"`
	Way         string           `json:"way"`
	Transport   string           `json:"transport"` // of dx forward
	Buffer      string           `json:"buffer"`    // of dx forward
	Run         int              `json:"run"`
	Direction   result.Direction `json:"direction,omitzero"` // of a transfer; none: round trips of a byte
	Conns       int              `json:"conns"`              // at once
	Bytes       int64            `json:"bytes,omitzero"`
	Trips       uint64           `json:"trips,omitzero"`
	P50Ns       int64            `json:"p50_ns,omitzero"`
	ElapsedS    float64          `json:"elapsed_s"`
	CPU         cpuTimes         `json:"cpu"`
	Accelerator string           `json:"accelerator"`
	EnvCommit   string           `json:"env_commit"`
}

// cpuTimes are seconds of CPU.
type cpuTimes struct {
	OwnS     float64 `json:"own_s"`
	ForwardS float64 `json:"forward_s"` // of dx forward on the host
	QEMUS    float64 `json:"qemu_s"`
}

func (c cpuTimes) sum() float64 { return c.OwnS + c.ForwardS + c.QEMUS }

func (c cpuTimes) since(before cpuTimes) cpuTimes {
	return cpuTimes{c.OwnS - before.OwnS, c.ForwardS - before.ForwardS, c.QEMUS - before.QEMUS}
}

var directions = []result.Direction{result.GuestToHost, result.HostToGuest}

// firstBytes is what first goes over a connection in each direction, and is compared.
const firstBytes = 1 << 20

// visit measures all of one way. keep gets each measurement as soon as it is made.
func (s *scene) visit(ctx context.Context, w way, run int, keep func(measured) error) (err error) {
	dial, end, err := w.open(s, ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	p, conns, err := s.connect(ctx, w, dial)
	if err != nil {
		return err
	}
	defer func() {
		hangUp(conns)
		err = errors.Join(err, p.End())
	}()
	defer hangUpAfter(ctx, p.Ended(), conns)()
	for _, c := range conns {
		if err := compareFirst(c); err != nil {
			return err
		}
	}
	take := func(m measured, err error) error {
		m.Way, m.Run = w.name, run
		return errors.Join(err, ctx.Err(), keepIf(err == nil, keep, m))
	}
	if err := take(s.roundTrips(conns[0])); err != nil {
		return err
	}
	for _, direction := range directions {
		for _, n := range []int{1, connsMax} {
			if n > len(conns) {
				continue
			}
			if err := take(s.transfer(conns[:n], direction)); err != nil {
				return err
			}
		}
	}
	return nil
}

// hangUpAfter ends what waits on the connections when the guest's program ends, or ctx. The function that
// it returns ends that.
func hangUpAfter(ctx context.Context, ended <-chan struct{}, conns []net.Conn) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	go func() {
		select {
		case <-ended: // dx forward would wait for its peer timeout
		case <-ctx.Done():
		}
		hangUp(conns)
	}()
	return stop
}

func keepIf(right bool, keep func(measured) error, m measured) error {
	if !right {
		return nil
	}
	return keep(m)
}

// compareFirst sends content over a connection in both directions, and compares.
func compareFirst(c net.Conn) error {
	if err := give(c, orderUp, firstBytes); err != nil {
		return err
	}
	same, err := take(c, firstBytes, make([]byte, len(content)), true)
	if err != nil {
		return err
	}
	if !same {
		return errors.New("what the guest has sent has come as something else")
	}
	if err := give(c, orderCompare, firstBytes); err != nil {
		return err
	}
	if err := send(c, firstBytes); err != nil {
		return err
	}
	return confirmed(c)
}

// confirmed waits for the guest to say that it has taken all.
func confirmed(c io.Reader) error {
	var answer [1]byte
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer[0] != taken {
		return fmt.Errorf("the guest says that what came was wrong: %q", answer)
	}
	return nil
}

// roundTrips sends one byte and waits for it, again and again.
func (s *scene) roundTrips(c net.Conn) (m measured, err error) {
	m.Conns = 1
	if err := give(c, orderEcho, 0); err != nil {
		return m, err
	}
	before, err := s.cpuTime()
	if err != nil {
		return m, err
	}
	latency := stat.NewLatency()
	began := time.Now()
	for last := began; last.Sub(began) < s.config.duration; {
		if err := echoed(c, endEcho+1); err != nil {
			return m, err
		}
		now := time.Now()
		latency.Record(int64(now.Sub(last)))
		last = now
	}
	m.ElapsedS = time.Since(began).Seconds()
	after, err := s.cpuTime()
	m.CPU, m.Trips = after.since(before), latency.Count()
	m.P50Ns, _ = latency.Quantile(0.5)
	return m, errors.Join(err, echoed(c, endEcho))
}

func echoed(c net.Conn, b byte) error {
	one := []byte{b}
	if _, err := c.Write(one); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, one); err != nil {
		return err
	}
	if one[0] != b {
		return fmt.Errorf("byte %d came back as %d", b, one[0])
	}
	return nil
}

// transfer sends as many bytes as take about the wanted time, as a shorter transfer tells.
func (s *scene) transfer(conns []net.Conn, d result.Direction) (measured, error) {
	m, err := s.transferBytes(conns, d, firstBytes)
	for err == nil && m.ElapsedS < s.config.duration.Seconds()/2 {
		// Not in one step: what is short is slower than the rest, or fits into buffers.
		factor := min(8, 1.1*s.config.duration.Seconds()/m.ElapsedS)
		m, err = s.transferBytes(conns, d, int64(factor*float64(m.Bytes)))
	}
	return m, err
}

func transferOver(c net.Conn, d result.Direction, bytes int64) error {
	if d == result.GuestToHost {
		if err := give(c, orderUp, bytes); err != nil {
			return err
		}
		_, err := take(c, bytes, make([]byte, len(content)), false)
		return err
	}
	if err := give(c, orderDown, bytes); err != nil {
		return err
	}
	if err := send(c, bytes); err != nil {
		return err
	}
	return confirmed(c)
}

// transferBytes sends bytes in one direction, a share over each connection.
func (s *scene) transferBytes(conns []net.Conn, d result.Direction, bytes int64) (m measured, err error) {
	share := bytes / int64(len(conns))
	m.Direction, m.Conns, m.Bytes = d, len(conns), share*int64(len(conns))
	before, err := s.cpuTime()
	if err != nil {
		return m, err
	}
	began := time.Now()
	errs := make([]error, len(conns))
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() {
			errs[i] = transferOver(c, d, share)
		})
	}
	all.Wait()
	m.ElapsedS = time.Since(began).Seconds()
	after, err := s.cpuTime()
	m.CPU = after.since(before)
	return m, errors.Join(err, errors.Join(errs...))
}
