// SPDX-License-Identifier: Apache-2.0

// Grpc is gRPC-Go over a Unix socket, with one connection that all callers share. A way is unary, a call
// of its own for each request, or stream, a bidirectional stream for each caller, which gRPC's guide to
// performance recommends for a long-lived flow. Its module is its own, so that nobody who uses dx needs gRPC.
package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"dx/experiments/peers/contract"
)

const (
	service = "peers.Echo"
	unary   = "/" + service + "/Copy"
	stream  = "/" + service + "/Copies"
)

// message is what protoc would generate of: message M { bytes value = 1; }
type message = wrapperspb.BytesValue

// description is the service, as protoc-gen-go-grpc would write it.
var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Copy", Handler: answerOne}},
	Streams:     []grpc.StreamDesc{{StreamName: "Copies", Handler: answerAll, ServerStreams: true, ClientStreams: true}},
}

func answerOne(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := new(message)
	if err := decode(request); err != nil {
		return nil, err
	}
	return request, nil
}

func answerAll(_ any, s grpc.ServerStream) error {
	for {
		request := new(message)
		if err := s.RecvMsg(request); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := s.SendMsg(request); err != nil {
			return err
		}
	}
}

func main() {
	contract.Main(contract.Peer{Serve: serve, Open: open})
}

func serve(o contract.Options) (end func(), err error) {
	listener, err := o.Listen()
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer()
	server.RegisterService(&description, nil)
	go func() { _ = server.Serve(listener) }()
	return func() { _ = listener.Close() }, nil
}

var (
	address string
	dial    = sync.OnceValues(func() (*grpc.ClientConn, error) {
		return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	})
)

func open(o contract.Options, _ int) (contract.Call, error) {
	address = "unix://" + o.Socket()
	connection, err := dial()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	switch o.Way {
	case "unary":
		return func(request, response []byte) error {
			var reply message
			if err := connection.Invoke(ctx, unary, &message{Value: request}, &reply); err != nil {
				return err
			}
			copy(response, reply.Value)
			return nil
		}, nil
	case "stream":
		flow, err := connection.NewStream(ctx, &description.Streams[0], stream)
		if err != nil {
			return nil, err
		}
		return func(request, response []byte) error {
			var reply message
			if err := flow.SendMsg(&message{Value: request}); err != nil {
				return err
			}
			if err := flow.RecvMsg(&reply); err != nil {
				return err
			}
			copy(response, reply.Value)
			return nil
		}, nil
	}
	return nil, fmt.Errorf("-way %s: there is no such way", o.Way)
}
