// SPDX-License-Identifier: Apache-2.0

// Package dx lets two programs exchange requests and responses through shared
// memory in well under a microsecond.
//
// The host creates a region and calls; the guest attaches to it and serves.
// Either may start first, either may be written in C or Go.
//
//	host, err := dx.Create("shm:demo", dx.Config{Slots: 8, RequestBytes: 64, ResponseBytes: 64})
//	caller, err := host.Caller(ctx)
//	reply, err := caller.Call(ctx, dx.TypeUser, request, response)
//
//	guest, err := dx.Attach(ctx, "shm:demo", dx.Options{})
//	err = guest.Serve(ctx, dx.HandlerFunc(
//		func(q *dx.Request, response []byte) (int, int32) { return copy(response, q.Data), 0 }))
//
// A Caller holds one slot, and one call is in flight on it: one goroutine at a
// time may use it. Thousands of goroutines may call, each on its own Caller.
// The fast path is Go and assembly: it makes no cgo call, no system call and no
// allocation. A goroutine that has to wait long holds no OS thread.
package dx
