// SPDX-License-Identifier: Apache-2.0

// A C library in Go that uses dx.
package main

import "C"

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dx/go/dx"
)

//export Shout
func Shout(text *C.char) *C.char {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	host, err := dx.Create("memfd:", dx.Config{RequestBytes: 64, ResponseBytes: 64})
	if err != nil {
		return C.CString(err.Error())
	}
	defer host.Close()
	guest, err := dx.Attach(ctx, fmt.Sprintf("memfd:%d", host.FD()), dx.Options{})
	if err != nil {
		return C.CString(err.Error())
	}
	defer guest.Close()
	go guest.Serve(ctx, dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		return copy(response, strings.ToUpper(string(q.Data))), 0
	}))
	reply, err := host.Call(ctx, dx.TypeUser, []byte(C.GoString(text)), make([]byte, 64))
	if err != nil {
		return C.CString(err.Error())
	}
	return C.CString(string(reply.Data))
}

func main() {}
