// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// hesitant keeps the first request until it is released, and serves host after
// host. It returns what its handler reads, the release, and the end.
func hesitant(guest *Channel) (entered chan []byte, release chan struct{}, ended chan error) {
	entered, release, ended = make(chan []byte, 1), make(chan struct{}), make(chan error, 1)
	handler := HandlerFunc(func(q *Request, response []byte) (int, int32) {
		select {
		case entered <- q.Data:
			<-release
		default:
		}
		return copy(response, q.Data), 0
	})
	go func() {
		ended <- guest.ServeWith(context.Background(), handler, ServeOptions{ThroughRestart: true})
	}()
	return entered, release, ended
}

// A file that was there before its host stays when it closes, so that the next
// host finds what the last one left: as after a death.
func TestNewHostIsNotGivenARequestThatAHandlerStillReads(t *testing.T) {
	for _, path := range []Path{PathNative, PathCgo} {
		file := t.TempDir() + "/region"
		if err := os.WriteFile(file, make([]byte, 1<<16), 0o600); err != nil {
			t.Fatal(err)
		}
		config := Config{RequestBytes: 8, ResponseBytes: 8, Options: Options{Path: path}}
		host, err := Create("file:"+file, config)
		if err != nil {
			t.Fatal(err)
		}
		guest, err := Attach(testContext(t), "file:"+file, Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		entered, release, ended := hesitant(guest)
		caller := newCallerOf(t, host)
		var data []byte
		for limit := 50 * time.Millisecond; data == nil; limit *= 2 { // until its handler has begun
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			_, err = caller.Call(ctx, TypeUser, []byte("mine"), make([]byte, 8))
			cancel()
			if err == nil {
				t.Fatal("the call was answered")
			}
			select {
			case data = <-entered:
			default:
			}
		}
		if err := errors.Join(caller.Close(), host.Close()); err != nil {
			t.Fatal(err)
		}
		entered <- nil // later calls do not wait
		next, err := Create("file:"+file, config)
		if err != nil {
			t.Fatal(err)
		}
		late := newCallerOf(t, next)
		if place := late.Request(); place != nil {
			copy(place, "theirs")
		}
		if string(data) != "mine" {
			t.Errorf("path %d: the handler reads %q", path, data)
		}
		close(release)
		callWell(t, late, 3)
		if late.Request() == nil {
			t.Errorf("path %d: no request after a call", path)
		}
		guest.Stop()
		if err := <-ended; !errors.Is(err, ErrStopped) {
			t.Errorf("serve ended with %v", err)
		}
		if err := errors.Join(late.Close(), guest.Close(), next.Close()); err != nil {
			t.Error(err)
		}
	}
}
