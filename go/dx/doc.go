// SPDX-License-Identifier: Apache-2.0

// Package dx lets two programs exchange requests and responses through shared
// memory in well under a microsecond.
//
// The host creates a region and calls. The guest attaches to it and serves. Either
// may start first, and each may be written in C or Go.
//
//	host, err := dx.Create("shm:demo", dx.Config{Slots: 8, RequestBytes: 64, ResponseBytes: 64})
//	caller, err := host.OpenCaller(ctx)
//	reply, err := caller.Call(ctx, dx.TypeUser, request, response)
//
//	guest, err := dx.Attach(ctx, "shm:demo", dx.Options{})
//	err = guest.Serve(ctx, dx.HandlerFunc(
//		func(q *dx.Request, response []byte) (int, int32) { return copy(response, q.Data), 0 }))
//
// A [Caller] holds one slot and makes one call at a time. One goroutine at a time
// may use it. Thousands of goroutines may call, each on a Caller of its own. A call
// that is answered soon makes no cgo call, no system call and no allocation. A
// goroutine that has to wait long holds no OS thread.
//
// A [Stream] carries a payload of any size through the slot of a Caller. A
// [Listener] is a host of several guests.
//
// # Import
//
// The package is part of the module dx, which has no public address yet. In your
// go.mod, name a checkout of it:
//
//	require dx v0.0.0
//	replace dx => /path/to/dx
//
// Then import "dx/go/dx". It needs Linux on a 64-bit CPU, cgo (CGO_ENABLED=1) and a
// C compiler, which builds the C library. Nothing has to be installed. Elsewhere the
// package builds, and its functions return an error that says so.
//
// # Errors of a call
//
// What a call returned, whether the handler may have run, and what the Caller can do
// next. Compare with errors.Is.
//
//	error                              handler ran            afterwards
//	nil                                once                   call again
//	ErrTimeout                         perhaps or still runs  call again
//	ErrPeerDead, ErrPeerClosed         perhaps                call again: it waits for a new peer
//	ErrLost                            it began               call again
//	ErrCorrupt                         perhaps                call again: the peer is broken
//	ErrResponseTooLarge                once                   call again
//	ErrBufferTooSmall                  once                   call again with a larger buffer
//	ErrNoPeer, ErrCancelled            no                     call again
//	ErrRequestTooLarge, ErrType        no                     call again with another request
//	ErrBusy                            no                     end the stream of this Caller
//	ErrNameRemoved                     no                     close; a host creates the region anew
//	ErrStopped                         perhaps                close
//	ErrGuestExists                     perhaps                close and attach again
//	ErrForked                          no                     close; create or attach here
//
// ErrTimeout and ErrNoPeer are context.DeadlineExceeded as well. A call whose context
// is cancelled returns an error that is context.Canceled, and may have run.
//
// # Restarts
//
// A host keeps its channel while guests come and go: its calls fail once when a guest
// ends, and then wait for the next one. A guest that serves does the same with
// [ServeOptions].ThroughRestart. A guest that calls, or that must go on after its host
// has closed, attaches again, as in the example of [Attach].
package dx
