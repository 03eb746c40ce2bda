// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// life is a guest that serves host until it is ended.
func life(t *testing.T, host *Channel) (end func()) {
	t.Helper()
	guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- guest.Serve(context.Background(), echo) }()
	return func() {
		t.Helper()
		guest.Stop()
		if err := <-ended; !errors.Is(err, ErrStopped) {
			t.Errorf("serve: %v", err)
		}
		if err := guest.Close(); err != nil {
			t.Error(err)
		}
	}
}

// waitsInVain expects that the call waits for a peer as long as it may.
func waitsInVain(t *testing.T, caller *Caller) {
	t.Helper()
	var err error
	for brief := 20 * time.Millisecond; !errors.Is(err, ErrNoPeer); brief *= 2 { // until it has begun
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), brief)
		_, err = caller.Call(ctx, TypeUser, nil, nil)
		cancel()
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took < brief || brief > time.Minute {
			t.Fatalf("a call without a peer ended after %v: %v", took, err)
		}
	}
}

func TestTheEndOfAPeerIsToldOnceAndThenCallsWaitForTheNext(t *testing.T) {
	sleeps, err := Preset("balanced")
	if err != nil {
		t.Fatal(err)
	}
	sleeps.SpinMin, sleeps.SpinMax, sleeps.SpinStart = 0, 0, 0
	spins := sleeps
	spins.Park = ParkNever
	for name, o := range map[string]Options{
		"sleeps": {Wait: &sleeps}, "spins": {Wait: &spins}, "cgo": {Wait: &sleeps, Path: PathCgo},
	} {
		t.Run(name, func(t *testing.T) {
			host := newHost(t, Config{Slots: 1, Options: o})
			caller, err := host.OpenCaller(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = caller.Close() }()
			waitsInVain(t, caller)
			for range 2 {
				answered := make(chan error, 1)
				go func() {
					_, err := caller.Call(testContext(t), TypeUser, nil, nil)
					answered <- err
				}()
				end := life(t, host)
				if err := <-answered; err != nil {
					t.Fatalf("a call that waited for its peer: %v", err)
				}
				end()
				if _, err := caller.Call(testContext(t), TypeUser, nil, nil); !errors.Is(err, ErrPeerClosed) {
					t.Fatalf("the first call after the end: %v", err)
				}
				waitsInVain(t, caller)
				waitsInVain(t, caller)
			}
		})
	}
}

func TestWaitPeer(t *testing.T) {
	host := newHost(t, Config{Slots: 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := host.WaitPeer(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrNoPeer) {
		t.Fatalf("without a peer: %v", err)
	}
	for range 2 {
		came := make(chan error, 1)
		go func() { came <- host.WaitPeer(testContext(t)) }()
		end := life(t, host)
		if err := <-came; err != nil {
			t.Fatalf("waiting for a peer: %v", err)
		}
		if err := host.WaitPeer(ctx); err != nil {
			t.Fatalf("with a peer: %v", err)
		}
		end()
		if err := host.WaitPeer(ctx); !errors.Is(err, ErrNoPeer) {
			t.Fatalf("after the end of a peer: %v", err)
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- host.WaitPeer(testContext(t)) }()
	host.Stop()
	if err := <-stopped; !errors.Is(err, ErrStopped) {
		t.Fatalf("after a stop: %v", err)
	}
}
