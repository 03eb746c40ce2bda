// SPDX-License-Identifier: Apache-2.0

// A program outside of the tree: a host calls a guest, and an answer comes over a connection.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"dx/go/dx"
	"dx/go/dxnet"
)

// shout asks a guest of this process for a text in capital letters.
func shout(ctx context.Context, text string) (string, error) {
	host, err := dx.Create("memfd:", dx.Config{RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		return "", err
	}
	defer host.Close()
	guest, err := dx.Attach(ctx, fmt.Sprintf("memfd:%d", host.FD()), dx.Options{})
	if err != nil {
		return "", err
	}
	defer guest.Close()
	go guest.Serve(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		return copy(response, strings.ToUpper(string(q.Data))), 0
	}))
	reply, err := host.Call(ctx, dx.TypeUser, []byte(text), make([]byte, 64))
	return string(reply.Data), err
}

// carry sends a text through a connection.
func carry(ctx context.Context, url, text string) (string, error) {
	listener, err := dxnet.Listen(url)
	if err != nil {
		return "", err
	}
	defer listener.Close()
	go func() {
		conn, err := dxnet.Dial(ctx, url)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprint(conn, text)
		conn.Close()
	}()
	conn, err := listener.Accept()
	if err != nil {
		return "", err
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	return string(got), err
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := shout(ctx, "hello")
	if err == nil {
		text, err = carry(ctx, fmt.Sprintf("shm:dx-test-outside-%d", os.Getpid()), text)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
}
