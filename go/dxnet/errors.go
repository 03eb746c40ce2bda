// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"dx/go/dx"
)

// failure is an error of package dx, and the one by which programs know it.
type failure struct {
	known error // of packages net, os, syscall
	cause error // what says more
}

func (f *failure) Error() string   { return f.known.Error() + ": " + f.cause.Error() }
func (f *failure) Unwrap() []error { return []error{f.known, f.cause} }

// Timeout makes a *net.OpError around it a time-out.
func (f *failure) Timeout() bool { return f.known == os.ErrDeadlineExceeded }

// opError is what a method of Conn or Listener returns.
func opError(op string, local, remote net.Addr, err error) error {
	return &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
}

// dialError is what Dial returns.
func dialError(url string, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = &failure{os.ErrDeadlineExceeded, err}
	case errors.Is(err, dx.ErrType): // what serves there takes no streams
		err = &failure{syscall.ECONNREFUSED, err}
	case errors.Is(err, dx.ErrHostExists):
		err = &failure{syscall.EADDRINUSE, err}
	}
	return opError("dial", nil, addrOf(url), err)
}

// listenError is what Listen returns.
func listenError(url string, err error) error {
	if errors.Is(err, dx.ErrHostExists) {
		err = &failure{syscall.EADDRINUSE, err}
	}
	return opError("listen", nil, addrOf(url), err)
}

// peerEnded says whether the other side of a channel is gone, or this side has lost its place there.
func peerEnded(err error) bool {
	for _, kind := range []error{dx.ErrPeerDead, dx.ErrPeerClosed, dx.ErrNameRemoved, dx.ErrGuestExists} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
