// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"errors"

	"dx/libdx"
)

// Error is a failure: its kind is Status, its Detail says what was wrong, with
// what value, and what to do. Compare with errors.Is against the variables
// below. ErrTimeout and ErrNoPeer are context.DeadlineExceeded as well,
// ErrPermission is fs.ErrPermission, ErrHostExists and ErrGuestExists are
// fs.ErrExist.
type Error = libdx.Error

// The kinds of failure; dx_status.h says more about each. Calls without a peer wait for
// one until their context ends, which then is ErrNoPeer, before the first peer came and
// after one has ended. That a peer has ended (ErrPeerClosed, ErrPeerDead) is told at
// once, and once to each Caller.
var (
	ErrInvalid          = &Error{Status: libdx.ErrInvalid}
	ErrTimeout          = &Error{Status: libdx.ErrTimeout}
	ErrStopped          = &Error{Status: libdx.ErrStopped}
	ErrPeerClosed       = &Error{Status: libdx.ErrPeerClosed}
	ErrPeerDead         = &Error{Status: libdx.ErrPeerDead}
	ErrNoPeer           = &Error{Status: libdx.ErrNoPeer}
	ErrLost             = &Error{Status: libdx.ErrLost}
	ErrRequestTooLarge  = &Error{Status: libdx.ErrRequestTooLarge}
	ErrResponseTooLarge = &Error{Status: libdx.ErrResponseTooLarge}
	ErrBufferTooSmall   = &Error{Status: libdx.ErrBufferTooSmall}
	ErrBusy             = &Error{Status: libdx.ErrBusy}
	ErrHostExists       = &Error{Status: libdx.ErrHostExists}
	ErrGuestExists      = &Error{Status: libdx.ErrGuestExists}
	ErrNotDx            = &Error{Status: libdx.ErrNotDx}
	ErrVersion          = &Error{Status: libdx.ErrVersion}
	ErrGeometry         = &Error{Status: libdx.ErrGeometry}
	ErrShort            = &Error{Status: libdx.ErrShort}
	ErrStale            = &Error{Status: libdx.ErrStale}
	ErrPermission       = &Error{Status: libdx.ErrPermission}
	ErrURL              = &Error{Status: libdx.ErrURL}
	ErrNoSlot           = &Error{Status: libdx.ErrNoSlot}
	ErrSystem           = &Error{Status: libdx.ErrSystem}
	ErrType             = &Error{Status: libdx.ErrType}
	ErrCancelled        = &Error{Status: libdx.ErrCancelled}
	ErrCorrupt          = &Error{Status: libdx.ErrCorrupt}
	ErrEnded            = &Error{Status: libdx.ErrEnded}
	ErrForked           = &Error{Status: libdx.ErrForked}
	ErrNameRemoved      = &Error{Status: libdx.ErrNameRemoved}
)

// byStatus makes an error of a status without allocating: the calls that fail
// this way are on the fast path.
var byStatus = func() map[libdx.Status]error {
	m := map[libdx.Status]error{}
	for _, e := range []*Error{
		ErrInvalid, ErrTimeout, ErrStopped, ErrPeerClosed, ErrPeerDead, ErrNoPeer, ErrLost,
		ErrRequestTooLarge, ErrResponseTooLarge, ErrBufferTooSmall, ErrBusy, ErrHostExists,
		ErrGuestExists, ErrNotDx, ErrVersion, ErrGeometry, ErrShort, ErrStale, ErrPermission,
		ErrURL, ErrNoSlot, ErrSystem, ErrType, ErrCancelled, ErrCorrupt, ErrEnded,
		ErrForked, ErrNameRemoved,
	} {
		m[e.Status] = e
	}
	return m
}()

func errorOf(status libdx.Status) error {
	if status == libdx.OK {
		return nil
	}
	if err, ok := byStatus[status]; ok {
		return err
	}
	return &Error{Status: status}
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
