// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
)

func shmName(t *testing.T) string {
	name := fmt.Sprintf("dx-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	t.Cleanup(func() {
		if _, err := os.Stat("/dev/shm/" + name); err == nil {
			t.Errorf("/dev/shm/%s is left", name)
			_ = os.Remove("/dev/shm/" + name)
		}
	})
	return "shm:" + name
}

func TestBadInputHasItsOwnError(t *testing.T) {
	dir := t.TempDir()
	text := dir + "/text"
	if err := os.WriteFile(text, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/notdx", []byte(fmt.Sprintf("%8192s", "no region")), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := mustPreset(t, "balanced")
	bad.SpinStart = bad.SpinMax + 1
	for name, c := range map[string]struct {
		do   func() (*Channel, error)
		want error
	}{
		"unknown transport": {func() (*Channel, error) { return Create("tcp:x", Config{}) }, ErrURL},
		"bad name":          {func() (*Channel, error) { return Create("shm:a/b", Config{}) }, ErrURL},
		"negative slots":    {func() (*Channel, error) { return Create("memfd:", Config{Slots: -1}) }, ErrInvalid},
		"too many slots":    {func() (*Channel, error) { return Create("memfd:", Config{Slots: 5000}) }, ErrInvalid},
		"negative capacity": {func() (*Channel, error) { return Create("memfd:", Config{RequestBytes: -1}) }, ErrInvalid},
		"absurd capacity":   {func() (*Channel, error) { return Create("memfd:", Config{ResponseBytes: 1 << 40}) }, ErrInvalid},
		"absurd wait": {func() (*Channel, error) {
			return Create("memfd:", Config{Options: Options{Wait: &bad}})
		}, ErrInvalid},
		"not a region": {func() (*Channel, error) { return Create("file:"+dir+"/notdx", Config{}) }, ErrNotDx},
		"short file": {func() (*Channel, error) {
			return Create("file:"+text, Config{RequestBytes: 1 << 20})
		}, ErrShort},
		"no host": {func() (*Channel, error) {
			return Attach(oneAttempt(), "shm:dx-test-nobody", Options{})
		}, ErrNoPeer},
	} {
		ch, err := c.do()
		var detailed *Error
		if ch != nil || !errors.Is(err, c.want) || !errors.As(err, &detailed) || detailed.Detail == "" {
			t.Errorf("%s: %v, %v", name, ch, err)
		}
	}
}

func TestOneHostAndOneGuestAtATime(t *testing.T) {
	url := shmName(t)
	host, err := Create(url, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(url, Config{}); !errors.Is(err, ErrHostExists) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("second host: %v", err)
	}
	guest, err := Attach(testContext(t), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(oneAttempt(), url, Options{}); !errors.Is(err, ErrGuestExists) {
		t.Errorf("second guest: %v", err)
	}
	for range 2 { // Close may be called again
		if err := errors.Join(guest.Close(), host.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestGuestMayStartFirst(t *testing.T) {
	url := shmName(t)
	attached := make(chan error, 1)
	var guest *Channel
	go func() {
		var err error
		guest, err = Attach(testContext(t), url, Options{})
		attached <- err
	}()
	host, err := Create(url, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-attached; err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(guest.Close(), host.Close()); err != nil {
		t.Error(err)
	}
}

func TestServeEndsWithTheOtherSideTheContextOrStop(t *testing.T) {
	for _, path := range []Path{PathNative, PathCgo} {
		for name, end := range map[string]struct {
			do   func(host, guest *Channel, cancel func())
			want error
		}{
			"host closes": {func(host, _ *Channel, _ func()) { _ = host.Close() }, ErrPeerClosed},
			"context":     {func(_, _ *Channel, cancel func()) { cancel() }, context.Canceled},
			"stop":        {func(_, guest *Channel, _ func()) { guest.Stop() }, ErrStopped},
		} {
			host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
			guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), Options{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- guest.Serve(ctx, echo) }()
			if _, err := host.Call(testContext(t), TypePing, nil, nil); err != nil {
				t.Error(err)
			}
			end.do(host, guest, cancel)
			if err := <-ended; !errors.Is(err, end.want) {
				t.Errorf("path %d, %s: serve ended with %v", path, name, err)
			}
			cancel()
			if err := guest.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestStopEndsCallsInFlight(t *testing.T) {
	host := newHost(t, Config{Slots: 10, RequestBytes: 8, ResponseBytes: 8})
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	serve(t, host, HandlerFunc(func(*Request, []byte) (int, int32) {
		entered <- struct{}{}
		<-release
		return 0, 0
	}), Options{}, ServeOptions{})
	var running sync.WaitGroup
	for range 10 {
		c := newCallerOf(t, host)
		running.Go(func() {
			if _, err := c.Call(context.Background(), TypeUser, nil, nil); !errors.Is(err, ErrStopped) {
				t.Errorf("stopped call: %v", err)
			}
		})
	}
	<-entered
	host.Stop()
	running.Wait()
	close(release)
}

func TestUseAfterCloseIsAnErrorAndNoCrash(t *testing.T) {
	host := newHost(t, Config{RequestBytes: 8, ResponseBytes: 8})
	c := newCallerOf(t, host)
	if err := host.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(testContext(t), TypeUser, nil, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("call after the channel's close: %v", err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Call(testContext(t), TypeUser, nil, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("call after its own close: %v", err)
	}
	if c.Request() != nil {
		t.Error("the request of a closed caller points into unmapped memory")
	}
	if _, err := host.OpenCaller(testContext(t)); !errors.Is(err, ErrStopped) {
		t.Errorf("new caller after close: %v", err)
	}
}

func TestParkedGoroutinesHoldNoThread(t *testing.T) {
	const goroutines = 1000
	w := mustPreset(t, "balanced")
	w.SpinMin, w.SpinStart, w.SpinMax = 0, 0, 0 // park at once
	host := newHost(t, Config{Slots: goroutines, Options: Options{Wait: &w}})
	release := make(chan struct{})
	serve(t, host, HandlerFunc(func(*Request, []byte) (int, int32) {
		<-release
		return 0, 0
	}), Options{}, ServeOptions{})
	var running sync.WaitGroup
	for range goroutines {
		c := newCallerOf(t, host)
		running.Go(func() {
			if _, err := c.Call(testContext(t), TypeUser, nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	for parked := 0; parked < goroutines-1; {
		host.parker.mu.Lock()
		parked = len(host.parker.waiting)
		host.parker.mu.Unlock()
	}
	if threads := pprof.Lookup("threadcreate").Count(); threads > 50 {
		t.Errorf("%d goroutines are parked on %d OS threads", goroutines, threads)
	}
	close(release)
	running.Wait()
}

func TestObserverReadsTheCountersAsAThirdParty(t *testing.T) {
	url := shmName(t)
	host, err := Create(url, Config{RequestBytes: 8, ResponseBytes: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }()
	guest, err := Attach(testContext(t), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = guest.Close() }()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- guest.Serve(ctx, echo) }()
	for range 100 {
		if _, err := host.Call(testContext(t), TypeUser, []byte("four"), make([]byte, 8)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	<-ended
	o, err := Observe(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	for _, of := range []StatsOf{HostCallers, GuestServers} {
		s, err := o.Stats(of)
		if err != nil || s.Calls != 100 || s.RequestBytes != 400 || s.ResponseBytes != 400 || s.Errors != 0 {
			t.Errorf("counters %d: %+v, %v", of, s, err)
		}
	}
}
