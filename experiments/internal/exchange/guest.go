// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/cload"
	"dx/experiments/internal/peer"
	"dx/go/dx"
	"dx/libdx"
)

// Message types of the experiment.
const (
	typeEcho   = dx.TypeUser
	typeVerify = dx.TypeUser + 1
)

// guestConfig is what the parent tells its guest.
type guestConfig struct {
	URL     string
	Lang    string
	Path    string
	Payload int
	Threads int  // callers, if they are to be here
	Bell    bool // the bare doorbell
	CPUs    []int
	Procs   int
	Lock    bool
	Verify  bool // of an alternative's guest and of callers: else dx tells it with each call
	Wait    dx.Wait
	Handler handlers
}

// guestRole is the guest process: it says "ready" on standard output and serves until the host
// closes.
var guestRole = peer.Of("guest", guestRun)

func guestRun(g guestConfig) error {
	if len(g.CPUs) > 0 {
		if err := affinity.Pin(g.CPUs); err != nil {
			return err
		}
	}
	if g.Bell {
		return serveBell(g)
	}
	if g.Threads > 0 {
		runtime.GOMAXPROCS(g.Procs)
		return callFar(g)
	}
	if g.Lang == "c" {
		if err := g.Wait.Check(); err != nil {
			return err
		}
		wait := libdx.WaitOf(g.Wait)
		return cload.Serve(g.URL, &wait, 1, g.Handler.Time)
	}
	runtime.GOMAXPROCS(g.Procs)
	if isAlternativeURL(g.URL) {
		return serveAlternative(g)
	}
	return serveGo(g)
}

// attachPatience is for a machine that is busy: a host that ends takes its guests along.
const attachPatience = 5 * time.Minute

// attachGo opens the channel in Go.
func attachGo(g guestConfig) (*dx.Channel, error) {
	path := dx.PathNative
	if g.Path == "cgo" {
		path = dx.PathCgo
	}
	ctx, cancel := context.WithTimeout(context.Background(), attachPatience)
	defer cancel()
	ch, err := dx.Attach(ctx, g.URL, dx.Options{Wait: &g.Wait, Path: path})
	if err != nil {
		return nil, err
	}
	if notice := ch.Notice(); notice != "" { // what is measured is what was asked for
		return nil, errors.Join(errors.New(notice), ch.Close())
	}
	return ch, nil
}

func serveGo(g guestConfig) error {
	ch, err := attachGo(g)
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	if g.Lock {
		runtime.LockOSThread()
	}
	fmt.Println("ready")
	err = g.Handler.serveCalls(context.Background(), ch, g.Payload)
	if errors.Is(err, dx.ErrPeerClosed) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}
