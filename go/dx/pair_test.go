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

// patience is the deadline of what must happen. Nobody waits so long: a test that hangs is ended by
// go test's own limit, or by the check that runs it, and then says where each goroutine is.
const patience = time.Hour

// testContext is for waits that end.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func mustPreset(t testing.TB, name string) Wait {
	w, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// echo answers with the request, and with its type as the status.
var echo = HandlerFunc(func(q *Request, response []byte) (int, int32) {
	return copy(response, q.Data), int32(q.Type)
})

// newHost creates a nameless region.
func newHost(t testing.TB, config Config) *Channel {
	t.Helper()
	host, err := Create("memfd:", config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Errorf("close host: %v", err)
		}
	})
	return host
}

// serve attaches a guest to host and serves until the test ends.
func serve(t testing.TB, host *Channel, h Handler, o Options, s ServeOptions) *Channel {
	t.Helper()
	guest, err := Attach(testContext(t), fmt.Sprintf("memfd:%d", host.FD()), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- guest.ServeWith(ctx, h, s) }()
	t.Cleanup(func() {
		stop()
		err := <-ended
		if !errors.Is(err, context.Canceled) && !errors.Is(err, ErrStopped) {
			t.Errorf("serve ended with %v", err)
		}
		if err := guest.Close(); err != nil {
			t.Errorf("close guest: %v", err)
		}
	})
	return guest
}

func newCallerOf(t testing.TB, ch *Channel) *Caller {
	t.Helper()
	c, err := ch.OpenCaller(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
