// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/peer"
	"dx/vm/quick"
)

// loopbackCalls is how many calls loopbackRole makes of each payload.
const loopbackCalls = 30

// loopbackRole is both sides of a vsock in one kernel, that of a guest: few hosts have AF_VSOCK.
var loopbackRole = peer.Of("vsock-loopback", func(payloads []int) error {
	for _, payload := range payloads {
		if err := overLoopback(payload); err != nil {
			return fmt.Errorf("%d bytes: %w", payload, err)
		}
	}
	return strangerIsTurnedAway()
})

// overLoopback makes verified calls between the two sides that a way into a machine has.
func overLoopback(payload int) error {
	c := Default()
	c.Transport, c.Payload, c.Verify = TransportVsock, payload, true
	if err := c.Check(); err != nil {
		return err
	}
	l, err := listenVsock(c, unix.VMADDR_CID_LOCAL, unix.VMADDR_CID_LOCAL)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serveAlternative(guestConfig{URL: l.url(), Payload: payload, Verify: true}) }()
	if err := l.open(payload, true); err != nil {
		return err
	}
	var calls, wrong uint64
	for calls < loopbackCalls {
		s, err := l.slice(stretch{d: time.Millisecond, timed: true})
		if err != nil {
			return err
		}
		calls, wrong = calls+s.calls[0], wrong+s.verifyFailures
	}
	l.stop()
	if err := errors.Join(l.close(), <-served); err != nil {
		return err
	}
	fmt.Printf("%d bytes: enough calls, %d wrong\n", payload, wrong)
	return nil
}

// strangerIsTurnedAway awaits another CID than the one that comes, until it is stopped.
func strangerIsTurnedAway() error {
	l, err := listenVsock(Default(), unix.VMADDR_CID_LOCAL, 7)
	if err != nil {
		return err
	}
	accepted := make(chan error, 1)
	go func() { accepted <- l.open(0, false) }()
	stranger, err := dialAlternative(l.url())
	if err != nil {
		return err
	}
	if err := readAll(stranger, make([]byte, 1)); err == nil {
		return errors.New("a stranger was answered")
	}
	l.stop()
	if err := <-accepted; !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("stopped, it says: %w", err)
	}
	fmt.Println("a stranger was turned away")
	return errors.Join(l.close(), unix.Close(stranger))
}

func TestCallsOverVsockAreVerified(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	g, err := quick.Boot(ctx, quick.Config{Modules: []string{"vsock_loopback"}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Kill()
	var out, complaint bytes.Buffer
	c, err := g.Start([]string{quick.Self}, []string{loopbackRole.Variable([]int{8, 64, 300000})}, &out, &complaint)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	const want = "ready\n8 bytes: enough calls, 0 wrong\nready\n64 bytes: enough calls, 0 wrong\nready\n300000 bytes: enough calls, 0 wrong\na stranger was turned away\n"
	if err != nil || out.String() != want {
		t.Errorf("%v, it said %q and %q", err, &out, &complaint)
	}
}

// Where this machine has a vsock the way is measured, and elsewhere it is said what it lacks.
func TestVsockIsMeasuredOrSaidToBeMissing(t *testing.T) {
	missing := boundary.CheckVsock(t.Context(), boundary.VsockDevice, nil)
	c := testConfig(t, func(c *Config) { c.Transport, c.Threads = TransportVsock, 1 })
	cell, err := Measure(t.Context(), c)
	switch {
	case missing != nil && err == nil:
		t.Errorf("it was measured, without %v", missing)
	case missing == nil && (err != nil || cell.Ops == 0 || !cell.Verified || cell.VerifyFailures > 0):
		t.Errorf("%+v, %v", cell, err)
	}
	t.Logf("%v", missing)
}
