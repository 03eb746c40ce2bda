// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"dx/go/dxnet"
)

// hello answers each request.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello, %s", r.URL.Path[1:])
})

// transport makes an http.Client dial dx, whatever host a URL names.
func transport(at string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dxnet.Dial(ctx, at)
	}}
}

// get prints what is at an address.
func get(client *http.Client, address string) {
	response, err := client.Get(address)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	fmt.Println(response.Status, string(body), err)
}

// An HTTP server and its client. Here they are goroutines of one program.
func Example() {
	at := fmt.Sprintf("shm:dx-example-http-%d", os.Getpid())
	listener, err := dxnet.Listen(at)
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Handler: hello}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	client := &http.Client{Transport: transport(at), Timeout: time.Minute}
	get(client, "http://any.name/world")
	get(client, "http://any.name/again")

	client.CloseIdleConnections()
	fmt.Println(server.Shutdown(context.Background()), errors.Is(<-served, http.ErrServerClosed))
	// Output:
	// 200 OK hello, world <nil>
	// 200 OK hello, again <nil>
	// <nil> true
}

// A proxy listens at TCP, and passes what it gets on to a server that is reached through
// shared memory: in a virtual machine without a network, for example.
func Example_reverseProxy() {
	at := fmt.Sprintf("shm:dx-example-proxy-%d", os.Getpid())
	listener, err := dxnet.Listen(at)
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Handler: hello}
	go server.Serve(listener)

	behind := transport(at)
	proxy := http.Server{Handler: &httputil.ReverseProxy{
		Transport: behind,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "any.name"})
		},
	}}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go proxy.Serve(front)

	get(http.DefaultClient, "http://"+front.Addr().String()+"/proxy")

	http.DefaultClient.CloseIdleConnections()
	err = proxy.Shutdown(context.Background())
	behind.CloseIdleConnections()
	fmt.Println(err, server.Shutdown(context.Background()))
	// Output:
	// 200 OK hello, proxy <nil>
	// <nil> <nil>
}

// One direction ends, and the other one goes on: the server answers when it has read all.
func ExampleConn_CloseWrite() {
	at := fmt.Sprintf("shm:dx-example-half-%d", os.Getpid())
	listener, err := dxnet.Listen(at)
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn)
		fmt.Fprintf(conn, "%d bytes", n)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := dxnet.Dial(ctx, at)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "some words")
	if err := conn.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	fmt.Println(string(answer), err)
	// Output: 10 bytes <nil>
}
