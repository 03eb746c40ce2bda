// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dx/go/dx"
	"dx/vm/child"
	"dx/vm/machine"
	"dx/vm/quick"
)

// The exchange of these tests: who serves answers every number with the next one, and both sides
// sleep at once.

// patience is for one step on a loaded machine, under translated code.
const patience = time.Hour

// bytesEach is the length of each request and each answer.
const bytesEach = 8

// peerTimeout is for how long a heartbeat may stand still. On a machine that others use, translated code
// may get no CPU for a second.
var peerTimeout = 5 * time.Second

// sleeper is a strategy that sleeps at once, and for a minute if nobody rings.
func sleeper() *dx.Wait {
	w, err := dx.Preset("balanced")
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	w.SpinMin, w.SpinStart, w.SpinMax, w.Adapt = 0, 0, 0, dx.AdaptOff
	w.ParkTimeoutNs = int64(time.Minute)
	w.PeerTimeoutNs = int64(peerTimeout)
	return &w
}

// attach becomes the guest, of a device that is bound first if bind says so.
func attach(url string, bind bool, path dx.Path) (*dx.Channel, error) {
	if bind {
		if err := dx.BindDevice(url); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return dx.Attach(ctx, url, optionsOf(path))
}

// answer serves until the host closes, and closes the channel.
func answer(ch *dx.Channel) error {
	err := ch.Serve(context.Background(), dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		binary.LittleEndian.PutUint64(response, binary.LittleEndian.Uint64(q.Data)+1)
		return bytesEach, 0
	}))
	if errors.Is(err, dx.ErrPeerClosed) {
		err = nil
	}
	return errors.Join(err, ch.Close())
}

// call makes one verified call.
func call(ch *dx.Channel, n uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var request, response [bytesEach]byte
	binary.LittleEndian.PutUint64(request[:], n)
	reply, err := ch.Call(ctx, dx.TypeUser, request[:], response[:])
	if err == nil && binary.LittleEndian.Uint64(reply.Data) != n+1 {
		err = fmt.Errorf("call %d was answered %x", n, reply.Data)
	}
	return err
}

// traffic is verified calls on one channel, one after the other, until it is stopped or one fails.
type traffic struct {
	calls   atomic.Uint64
	stop    atomic.Bool
	ended   chan struct{}
	err     error
	longest time.Duration
}

func startTraffic(ch *dx.Channel) *traffic {
	w := &traffic{ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for n := uint64(0); !w.stop.Load() && w.err == nil; n++ {
			began := time.Now()
			w.err = call(ch, n)
			w.longest = max(w.longest, time.Since(began))
			w.calls.Add(1)
		}
	}()
	return w
}

// await returns when so many more calls have been made.
func (w *traffic) await(t *testing.T, more uint64) {
	t.Helper()
	until := w.calls.Load() + more
	deadline := time.Now().Add(patience)
	for w.calls.Load() < until {
		select {
		case <-w.ended:
			t.Fatalf("the traffic ended: %v", w.err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("the traffic stands still")
		}
	}
}

// startSelf starts the test program again, in a role, and waits until it is ready.
func startSelf(t *testing.T, role, url string) *child.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleEnv+"="+role, urlEnv+"="+url)
	p, err := child.StartReady(ctx, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bootAt boots a virtual machine that is connected to the socket of a URL. What it consists of besides is
// the caller's.
func bootAt(t *testing.T, url string, c quick.Config) (*quick.Guest, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.Accel, c.IOMMU, c.MemoryMiB, c.Modules = machine.TCG, true, 256, []string{"vfio_iommu_type1", "vfio-pci"}
	c.Region = machine.Region{Socket: strings.TrimPrefix(url, "unix:"), Vectors: 1}
	g, err := quick.Boot(ctx, c)
	if err == nil {
		t.Cleanup(g.Kill)
	}
	return g, err
}
