// SPDX-License-Identifier: Apache-2.0

// Package dxnet gives programs that speak over a net.Conn a connection through shared
// memory: between two processes, or between a virtual machine and its host, without a
// network. HTTP, gRPC and every other protocol on top of TCP run over it unchanged.
//
//	listener, err := dxnet.Listen("unix:/run/user/1000/demo")
//	err = http.Serve(listener, handler)
//
//	client := http.Client{Transport: &http.Transport{
//		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
//			return dxnet.Dial(ctx, "unix:/run/user/1000/demo")
//		}}}
//	response, err := client.Get("http://any.name/path")
//
// A URL is one of package dx: shm:NAME, file:PATH, unix:PATH, or in a virtual machine
// ivshmem:plain or ivshmem:doorbell.
//
// # Connections and channels
//
// A connection is a stream of package dx, and takes one slot of a channel. All
// connections of a process to one URL share one channel. The first Dial opens it, and it
// is closed with the last connection. A program that dials often keeps one connection
// open, since attaching costs much more than a connection.
//
// A listener has places for several processes or virtual machines ([Config].Guests), and
// slots for several connections of each ([Config].Conns). When all of them are taken, Dial
// waits until one is free, or until its context ends.
//
// Dial also waits for a listener that is not there yet. Give it a context with a deadline.
//
// # Who is the host
//
// One side of a channel is its host, which creates the memory, and the other one is its
// guest. Who listens is the host, unless the URL is one for guests only. A program in a
// virtual machine can listen at ivshmem:plain, for example. Then the program that dials
// must be the host, which [Config].Side says.
//
// # Close and errors
//
// Connections behave as those of TCP do:
//
//   - Close does not wait. What was written before is still delivered, in the background,
//     as long as this process lives. [Conn.SetLinger] lets Close wait for that.
//   - CloseWrite ends one direction. The other side reads io.EOF after what was written.
//   - Close and deadlines wake Read and Write, which may be called by any number of goroutines.
//   - Errors are *net.OpError. By errors.Is they are os.ErrDeadlineExceeded (a deadline),
//     net.ErrClosed (closed on this side), syscall.EPIPE (the other side reads no more),
//     syscall.ECONNRESET (the other side has given up the connection, or has died), and
//     for Dial syscall.ECONNREFUSED (the listener is closed). The error of package dx that
//     says more is wrapped, too.
//
// They differ in one thing: when a process dies, what it has written and the other side has
// not read yet is lost. Read then returns syscall.ECONNRESET.
//
// # The protocol
//
// A connection is a stream of the type [StreamType]. The side that listens first writes
// one byte, [Hello]; the bytes of the connection follow. To refuse a connection it writes
// nothing, and ends the stream with a number of errno as its status. A stream that fails, or
// whose status is not 0 after other bytes, resets the connection. The program dx speaks
// the same protocol, so that "dx forward" connects a dxnet program to one that speaks TCP.
package dxnet
