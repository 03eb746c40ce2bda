// SPDX-License-Identifier: Apache-2.0

package boundary

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"dx/experiments/internal/peer"
	"dx/go/dx"
	"dx/vm/quick"
)

// echoRole is a guest that answers with what it is sent, at the URL that it is told.
var echoRole = peer.Of("echo", func(url string) error {
	ch, err := dx.Attach(context.Background(), url, dx.Options{})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	err = ch.Serve(context.Background(), dx.HandlerFunc(
		func(q *dx.Request, response []byte) (int, int32) { return copy(response, q.Data), 0 }))
	if errors.Is(err, dx.ErrPeerClosed) {
		return nil
	}
	return err
})

func startEcho(t *testing.T, m *Machine) *Process {
	t.Helper()
	p, err := m.StartReady(context.Background(), []string{echoRole.Variable(m.GuestURL())}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// callUntil makes verified calls until one fails, or there were so many.
func callUntil(t *testing.T, caller *dx.Caller, first, most uint64) (made uint64, err error) {
	t.Helper()
	request, response := make([]byte, 64), make([]byte, 64)
	for n := first; n < first+most; n++ {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		binary.LittleEndian.PutUint64(request, n)
		reply, err := caller.Call(ctx, dx.TypeUser, request, response)
		cancel()
		if err != nil {
			return n - first, err
		}
		if !bytes.Equal(reply.Data, request) {
			t.Fatalf("call %d was answered with %x", n, reply.Data)
		}
	}
	return most, nil
}

// callAll makes so many calls to a guest that lives. One that gets no CPU for a while is called dead, and the
// next call waits for it.
func callAll(t *testing.T, caller *dx.Caller, first, most uint64) {
	t.Helper()
	for made := uint64(0); made < most; {
		more, err := callUntil(t, caller, first+made, most-made)
		if err != nil && !errors.Is(err, dx.ErrPeerDead) {
			t.Fatalf("call %d: %v", first+made+more, err)
		}
		made += more
	}
}

// A crash of QEMU is an error of the calls that it meets, and the next guest goes on with the same
// channel.
func TestHostSurvivesTheEndOfQEMUUnderLoad(t *testing.T) {
	m := boot(t)
	ch, err := dx.Create(m.URL(), dx.Config{Slots: 1, RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ch.Close() }()
	startEcho(t, m)
	caller, err := ch.OpenCaller(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caller.Close() }()
	const before = 2000
	callAll(t, caller, 0, before)
	// Under load: calls go on while QEMU is killed.
	died := make(chan time.Time)
	go func() {
		m.Kill()
		died <- time.Now()
	}()
	_, err = callUntil(t, caller, before, 1<<40)
	noticed := time.Since(<-died)
	if !errors.Is(err, dx.ErrPeerDead) || noticed > 10*time.Minute {
		t.Errorf("%v after the end: %v", noticed, err)
	}
	if !m.Gone() {
		t.Error("the machine is not gone")
	}
	if _, err := m.StartReady(context.Background(), nil, nil); !errors.Is(err, quick.ErrGone) {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := m.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	second := startEcho(t, m)
	callAll(t, caller, 1<<41, before)
	_ = caller.Close()
	if err := ch.Close(); err != nil {
		t.Error(err)
	}
	if err := second.End(); err != nil {
		t.Error(err)
	}
}

func TestRegionThatIsTooSmallIsRefused(t *testing.T) {
	m := &Machine{}
	if err := m.makeRegion(1 << 20); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	ch, err := dx.Create(m.URL(), dx.Config{Slots: 1, RequestBytes: 16 << 20, ResponseBytes: 64})
	if !errors.Is(err, dx.ErrShort) {
		t.Error(err)
	}
	if err == nil {
		_ = ch.Close()
	}
}

func TestBootsInARowLeaveNothing(t *testing.T) {
	var took []time.Duration
	for range 3 {
		began := time.Now()
		m, err := Boot(context.Background(), Options{Bytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		ch, err := dx.Create(m.URL(), dx.Config{Slots: 1, RequestBytes: 64, ResponseBytes: 64})
		if err != nil {
			t.Fatal(err)
		}
		startEcho(t, m)
		if _, err := ch.Call(context.Background(), dx.TypePing, nil, nil); err != nil {
			t.Error(err)
		}
		took = append(took, time.Since(began))
		if err := ch.Close(); err != nil {
			t.Error(err)
		}
		closeAndLook(t, m)
	}
	t.Logf("from nothing to the first answer: %v", took)
}
