// SPDX-License-Identifier: Apache-2.0

// Netrpc is net/rpc of Go's standard library over a Unix socket, with its own encoding (gob): one
// client that all callers share, as its documentation allows.
package main

import (
	"net/rpc"
	"sync"

	"dx/experiments/peers/contract"
)

// Echo is the service.
type Echo struct{}

// Copy answers with a copy of the request.
func (Echo) Copy(request []byte, response *[]byte) error {
	*response = append((*response)[:0], request...)
	return nil
}

func main() {
	contract.Main(contract.Peer{Serve: serve, Open: open})
}

func serve(o contract.Options) (end func(), err error) {
	server := rpc.NewServer()
	if err := server.Register(Echo{}); err != nil {
		return nil, err
	}
	listener, err := o.Listen()
	if err != nil {
		return nil, err
	}
	go server.Accept(listener)
	return func() { _ = listener.Close() }, nil
}

var dial = sync.OnceValues(func() (*rpc.Client, error) { return rpc.Dial("unix", socket) })

var socket string

func open(o contract.Options, _ int) (contract.Call, error) {
	socket = o.Socket()
	client, err := dial()
	if err != nil {
		return nil, err
	}
	return func(request, response []byte) error {
		reply := response[:0]
		if err := client.Call("Echo.Copy", request, &reply); err != nil {
			return err
		}
		copy(response, reply)
		return nil
	}, nil
}
