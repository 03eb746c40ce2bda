// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"dx/libdx"
)

// Status is the kind of an Error, a dx_status of dx_status.h.
type Status int32

// String describes the kind.
func (s Status) String() string { return libdx.Status(s).Text() }

// Error is a failure: its kind is Status, its Detail says what was wrong, with
// what value, and what to do. Compare with errors.Is against the variables
// below. ErrTimeout and ErrNoPeer are context.DeadlineExceeded as well,
// ErrPermission is fs.ErrPermission, ErrHostExists and ErrGuestExists are
// fs.ErrExist.
type Error struct {
	Status Status
	Detail string
}

// Error returns the kind and the detail.
func (e *Error) Error() string {
	if e.Detail == "" {
		return "dx: " + e.Status.String()
	}
	return "dx: " + e.Status.String() + ": " + e.Detail
}

// Is makes two errors of one kind equal for errors.Is, and an error equal to what the
// standard library calls the same thing.
func (e *Error) Is(target error) bool {
	if other, ok := target.(*Error); ok {
		return other.Status == e.Status && other.Detail == ""
	}
	switch e.Status {
	case libdx.ErrTimeout, libdx.ErrNoPeer:
		return target == context.DeadlineExceeded
	case libdx.ErrPermission:
		return target == fs.ErrPermission
	case libdx.ErrHostExists, libdx.ErrGuestExists:
		return target == fs.ErrExist
	}
	return false
}

// newError returns an error of a kind with a detail.
func newError(status Status, format string, values ...any) *Error {
	return &Error{Status: status, Detail: fmt.Sprintf(format, values...)}
}

// ours makes an error of package libdx one of this package, and leaves others alone.
func ours(err error) error {
	if e, ok := err.(*libdx.Error); ok {
		return &Error{Status: Status(e.Status), Detail: e.Detail}
	}
	return err
}

// The kinds of failure; dx_status.h says more about each. Calls without a peer wait for
// one until their context ends, which then is ErrNoPeer, before the first peer came and
// after one has ended. That a peer has ended (ErrPeerClosed, ErrPeerDead) is told at
// once, and once to each Caller.
var (
	ErrInvalid          = kind(libdx.ErrInvalid)
	ErrTimeout          = kind(libdx.ErrTimeout)
	ErrStopped          = kind(libdx.ErrStopped)
	ErrPeerClosed       = kind(libdx.ErrPeerClosed)
	ErrPeerDead         = kind(libdx.ErrPeerDead)
	ErrNoPeer           = kind(libdx.ErrNoPeer)
	ErrLost             = kind(libdx.ErrLost)
	ErrRequestTooLarge  = kind(libdx.ErrRequestTooLarge)
	ErrResponseTooLarge = kind(libdx.ErrResponseTooLarge)
	ErrBufferTooSmall   = kind(libdx.ErrBufferTooSmall)
	ErrBusy             = kind(libdx.ErrBusy)
	ErrHostExists       = kind(libdx.ErrHostExists)
	ErrGuestExists      = kind(libdx.ErrGuestExists)
	ErrNotDx            = kind(libdx.ErrNotDx)
	ErrVersion          = kind(libdx.ErrVersion)
	ErrGeometry         = kind(libdx.ErrGeometry)
	ErrShort            = kind(libdx.ErrShort)
	ErrStale            = kind(libdx.ErrStale)
	ErrPermission       = kind(libdx.ErrPermission)
	ErrURL              = kind(libdx.ErrURL)
	ErrNoSlot           = kind(libdx.ErrNoSlot)
	ErrSystem           = kind(libdx.ErrSystem)
	ErrType             = kind(libdx.ErrType)
	ErrCancelled        = kind(libdx.ErrCancelled)
	ErrCorrupt          = kind(libdx.ErrCorrupt)
	ErrEnded            = kind(libdx.ErrEnded)
	ErrForked           = kind(libdx.ErrForked)
	ErrNameRemoved      = kind(libdx.ErrNameRemoved)
)

// byStatus makes an error of a status without allocating: the calls that fail
// this way are on the fast path.
var byStatus = map[libdx.Status]error{}

func kind(status libdx.Status) *Error {
	e := &Error{Status: Status(status)}
	byStatus[status] = e
	return e
}

func errorOf(status libdx.Status) error {
	if status == libdx.OK {
		return nil
	}
	if err, ok := byStatus[status]; ok {
		return err
	}
	return &Error{Status: Status(status)}
}

// endedError says that a context ended, and what was waited for until then. It is the
// context's error, and of the kinds of Error only the one that it had to wait for.
type endedError struct {
	ended error
	cause *Error
}

// Error names both.
func (e *endedError) Error() string { return e.cause.Error() + " (" + e.ended.Error() + ")" }

// Unwrap returns the context's error.
func (e *endedError) Unwrap() error { return e.ended }

// Is compares the cause only with kinds of Error: one that is context.DeadlineExceeded
// by itself says nothing of a context that was cancelled.
func (e *endedError) Is(target error) bool {
	_, isKind := target.(*Error)
	return isKind && errors.Is(e.cause, target)
}

// As gives the cause to who asks for an *Error.
func (e *endedError) As(target any) bool {
	p, ok := target.(**Error)
	if ok {
		*p = e.cause
	}
	return ok
}
