// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"dx/go/dx"
)

// A host calls and a guest serves. Here they are goroutines of one program.
func Example() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	host, err := dx.Create("memfd:", dx.Config{Slots: 1, RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		log.Fatal(err)
	}
	guest, err := dx.Attach(ctx, fmt.Sprintf("memfd:%d", host.FD()), dx.Options{})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- guest.Serve(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
			return copy(response, strings.ToUpper(string(q.Data))), 0
		}))
	}()

	caller, err := host.OpenCaller(ctx)
	if err != nil {
		log.Fatal(err)
	}
	reply, err := caller.Call(ctx, dx.TypeUser, []byte("hello"), make([]byte, 64))
	fmt.Printf("%s %v\n", reply.Data, err)

	err = errors.Join(caller.Close(), host.Close())
	fmt.Println(err, errors.Is(<-served, dx.ErrPeerClosed), guest.Close())
	// Output:
	// HELLO <nil>
	// <nil> true <nil>
}

// A request is built where it is sent from, and a response is read where it lies: no
// byte is copied.
func ExampleCaller_CallInPlace() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	host, end := echoing(ctx)
	defer end()
	caller, err := host.OpenCaller(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer caller.Close()
	n := copy(caller.Request(), "in place")
	reply, err := caller.CallInPlace(ctx, dx.TypeUser, n)
	fmt.Printf("%s %v\n", reply.Data, err)
	// Output: in place <nil>
}

// A stream is an io.Reader and an io.Writer. What is written arrives while it is
// being written, through a slot of 4 KiB.
func ExampleStream() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	host, end := echoing(ctx)
	defer end()
	caller, err := host.OpenCaller(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer caller.Close()
	stream, err := caller.OpenStream(ctx, dx.TypeUser, dx.StreamOptions{})
	if err != nil {
		log.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(stream, io.LimitReader(endless('x'), 100_000))
		stream.CloseWrite()
		sent <- err
	}()
	bytes, err := io.Copy(io.Discard, stream)
	fmt.Println(bytes, err, <-sent) // who ends a stream first waits for those who use it
	status, err := stream.End()
	fmt.Println(status, err)
	// Output:
	// 100000 <nil> <nil>
	// 0 <nil>
}

// Accept tells a host which guests have come.
func ExampleListener() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	folder, err := os.MkdirTemp("", "dx")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	url := "unix:" + folder + "/guests"
	listener, err := dx.Listen(url, 2, dx.Config{Slots: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	for range 2 {
		guest, err := dx.Attach(ctx, url, dx.Options{})
		if err != nil {
			log.Fatal(err)
		}
		defer guest.Close()
		_, peer, err := listener.Accept(ctx)
		fmt.Println("place", peer.Place, err)
	}
	// Output:
	// place 0 <nil>
	// place 1 <nil>
}

// serveHosts serves one host after the other, until ctx ends.
func serveHosts(ctx context.Context, url string, h dx.Handler) error {
	for {
		guest, err := dx.Attach(ctx, url, dx.Options{})
		if err != nil {
			return err
		}
		err = guest.Serve(ctx, h)
		closed := guest.Close()
		if !errors.Is(err, dx.ErrPeerClosed) && !errors.Is(err, dx.ErrPeerDead) {
			return errors.Join(err, closed)
		}
	}
}

// A guest outlives its hosts.
func ExampleAttach() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	url := fmt.Sprintf("shm:dx-example-%d", os.Getpid())
	served := make(chan error, 1)
	go func() {
		served <- serveHosts(ctx, url, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
			return copy(response, q.Data), 0
		}))
	}()
	for _, text := range []string{"first host", "second host"} {
		host, err := dx.Create(url, dx.Config{Slots: 1, RequestBytes: 64, ResponseBytes: 64})
		if err != nil {
			log.Fatal(err)
		}
		reply, err := host.Call(ctx, dx.TypeUser, []byte(text), make([]byte, 64))
		fmt.Printf("%s %v\n", reply.Data, err)
		if err := host.Close(); err != nil {
			log.Fatal(err)
		}
	}
	stop()
	fmt.Println(errors.Is(<-served, context.Canceled))
	// Output:
	// first host <nil>
	// second host <nil>
	// true
}

func ExampleQueue() {
	ctx := context.Background()
	host, err := dx.Create("memfd:", dx.Config{Slots: 3, RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	guest, err := dx.Attach(ctx, fmt.Sprintf("memfd:%d", host.FD()), dx.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer guest.Close()
	go guest.Serve(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		return copy(response, strings.ToUpper(string(q.Data))), 0
	}))
	queue, err := host.OpenQueue(3)
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Close()
	answers := make([]string, 3)
	for tag, text := range []string{"one", "two", "three"} {
		if err := queue.Submit(uint64(tag), dx.TypeUser, []byte(text), time.Minute); err != nil {
			log.Fatal(err)
		}
	}
	done := make([]dx.Completion, 3)
	n, err := queue.Wait(ctx, 3, done) // at least so many; they come in any order
	for i := range done[:n] {
		answers[done[i].Tag] = string(done[i].Data)
		queue.Seen(&done[i]) // Data lies in the region until then
	}
	fmt.Println(answers, err)
	// Output: [ONE TWO THREE] <nil>
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// echoing is a host whose guest answers calls and streams with what it gets.
func echoing(ctx context.Context) (host *dx.Channel, end func()) {
	host, err := dx.Create("memfd:", dx.Config{Slots: 1, RequestBytes: 4096, ResponseBytes: 4096})
	if err != nil {
		log.Fatal(err)
	}
	guest, err := dx.Attach(ctx, fmt.Sprintf("memfd:%d", host.FD()), dx.Options{})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- guest.ServeWith(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
			return copy(response, q.Data), 0
		}), dx.ServeOptions{Streams: dx.StreamHandlerFunc(func(s *dx.Stream) int32 {
			if _, err := io.Copy(s, s); err != nil {
				return 1
			}
			return 0
		})})
	}()
	return host, func() {
		_ = host.Close()
		<-served
		_ = guest.Close()
	}
}

// Handlers that block, for as long as their callers wait.
func ExampleRequest_Context() {
	ctx := context.Background()
	host, err := dx.Create("memfd:", dx.Config{Slots: 2, RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	guest, err := dx.Attach(ctx, fmt.Sprintf("memfd:%d", host.FD()), dx.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer guest.Close()
	impatient, giveUp := context.WithCancel(ctx)
	gaveUp := make(chan error, 1)
	handler := dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		giveUp() // the caller does, while this runs
		select {
		case <-time.After(time.Minute): // what takes long
			return copy(response, "done"), 0
		case <-q.Context().Done(): // nobody waits any more
			gaveUp <- context.Cause(q.Context())
			return 0, -1
		}
	})
	go guest.ServeWith(ctx, handler, dx.ServeOptions{Concurrency: 100})
	_, err = host.Call(impatient, dx.TypeUser, []byte("work"), make([]byte, 64))
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(<-gaveUp, dx.ErrCancelled))
	// Output: true true
}
