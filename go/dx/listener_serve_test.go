// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// callAsGuests has n guests call a served listener, each with its own word.
func callAsGuests(t *testing.T, url string, n int) {
	t.Helper()
	var guests sync.WaitGroup
	for range n {
		guests.Go(func() {
			guest, err := Attach(testContext(t), url, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			for range 50 {
				reply, err := guest.Call(testContext(t), TypeUser, []byte("guest"), make([]byte, 8))
				if err != nil || string(reply.Data[1:]) != "guest" || reply.Data[0] >= byte(n) {
					t.Errorf("a guest was answered %q, %v", reply.Data, err)
				}
			}
			if err := guest.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	guests.Wait()
}

// placed is a handler that puts its place before what it is sent.
func placed(place int) Handler {
	return HandlerFunc(func(q *Request, response []byte) (int, int32) {
		response[0] = byte(place)
		return 1 + copy(response[1:], q.Data), 0
	})
}

func listenForGuests(t *testing.T, places int) (*Listener, string) {
	t.Helper()
	url := "unix:" + t.TempDir() + "/rendezvous"
	l, err := Listen(url, places, Config{Slots: 0, GuestSlots: 2, RequestBytes: 8, ResponseBytes: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, url
}

// Guests come and go; in each place one after the other is served.
func TestAListenerServesAllItsPlaces(t *testing.T) {
	const places = 4
	l, url := listenForGuests(t, places)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- l.Serve(ctx, placed, ServeOptions{})
	}()
	for range 3 {
		callAsGuests(t, url, places)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve ended with %v", err)
	}
	go func() { ended <- l.Serve(context.Background(), placed, ServeOptions{Concurrency: 2}) }()
	callAsGuests(t, url, places)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, ErrStopped) {
		t.Errorf("Serve ended with %v", err)
	}
}

func TestAHandlerOfAListenerThatLeavesEndsAllPlaces(t *testing.T) {
	for w, want := range map[way]error{byPanic: errBoom, byGoexit: ErrLost} {
		l, url := listenForGuests(t, 3)
		ended := make(chan error, 1)
		go func() {
			defer func() {
				if p, ok := recover().(*HandlerPanic); ok {
					ended <- p
				}
			}()
			ended <- l.Serve(context.Background(), func(int) Handler {
				return HandlerFunc(func(*Request, []byte) (int, int32) { w.leave(); return 0, 0 })
			}, ServeOptions{})
		}()
		guest, err := Attach(testContext(t), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guest.Call(testContext(t), TypeUser, nil, nil); !errors.Is(err, ErrLost) {
			t.Errorf("the call ended with %v", err)
		}
		if err := <-ended; !errors.Is(err, want) {
			t.Errorf("Serve ended with %v, want %v", err, want)
		}
		_ = guest.Close()
	}
}
