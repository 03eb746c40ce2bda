// SPDX-License-Identifier: Apache-2.0

// Package grpctest calls gRPC services over dxnet: unary and streaming calls, deadlines and
// cancellations, and a server that stops.
package grpctest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"dx/go/dxnet"
)

// service answers with as many bytes as it is asked for.
type service struct {
	pb.UnimplementedTestServiceServer
	cancelled chan error
}

func payload(bytes int32) *pb.Payload { return &pb.Payload{Body: make([]byte, bytes)} }

func (s *service) UnaryCall(ctx context.Context, q *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	if q.ResponseSize < 0 { // waits until nobody wants the answer any more
		<-ctx.Done()
		s.cancelled <- ctx.Err()
		return nil, ctx.Err()
	}
	return &pb.SimpleResponse{Payload: payload(q.ResponseSize)}, nil
}

func (s *service) StreamingInputCall(stream pb.TestService_StreamingInputCallServer) error {
	var sum int32
	for {
		q, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		}
		if err != nil {
			return err
		}
		sum += int32(len(q.Payload.Body))
	}
}

func (s *service) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		q, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range q.ResponseParameters {
			if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: payload(p.Size)}); err != nil {
				return err
			}
		}
	}
}

var names atomic.Int32

// serve begins a service, and returns a client of it and what stops the server.
func serve(t *testing.T, kind string) (pb.TestServiceClient, *service, func()) {
	t.Helper()
	url := "unix:" + t.TempDir() + "/s"
	if kind == "shm" {
		url = fmt.Sprintf("shm:dx-test-grpc-%d-%d", os.Getpid(), names.Add(1))
	}
	listener, err := dxnet.Listen(url)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{cancelled: make(chan error, 1)}
	server := grpc.NewServer()
	pb.RegisterTestServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	client, err := grpc.NewClient("passthrough:///any.name",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return dxnet.Dial(ctx, url)
		}))
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(server.GracefulStop)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return pb.NewTestServiceClient(client), s, stop
}

func eachKind(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{"shm", "unix"} {
		t.Run(kind, func(t *testing.T) { test(t, kind) })
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	t.Cleanup(cancel)
	return ctx
}

func TestUnaryCalls(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		client, _, _ := serve(t, kind)
		var all sync.WaitGroup
		for _, size := range []int32{0, 1, 1000, 100_000, 3 << 20} {
			all.Go(func() {
				r, err := client.UnaryCall(testContext(t), &pb.SimpleRequest{ResponseSize: size,
					Payload: payload(size)}, grpc.WaitForReady(true))
				if err != nil || int32(len(r.Payload.GetBody())) != size {
					t.Errorf("%d bytes: %d, %v", size, len(r.GetPayload().GetBody()), err)
				}
			})
		}
		all.Wait()
	})
}

func TestStreamsOfRequests(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		client, _, _ := serve(t, kind)
		stream, err := client.StreamingInputCall(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := stream.Send(&pb.StreamingInputCallRequest{Payload: payload(10_000)}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := stream.CloseAndRecv()
		if err != nil || r.AggregatedPayloadSize != 1_000_000 {
			t.Errorf("%d, %v", r.GetAggregatedPayloadSize(), err)
		}
	})
}

func TestStreamsOfBoth(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		client, _, _ := serve(t, kind)
		var all sync.WaitGroup
		for range 10 { // streams share one connection
			all.Go(func() { pingPong(t, client) })
		}
		all.Wait()
	})
}

func pingPong(t *testing.T, client pb.TestServiceClient) {
	stream, err := client.FullDuplexCall(testContext(t))
	if err != nil {
		t.Error(err)
		return
	}
	for i := range int32(50) {
		err := stream.Send(&pb.StreamingOutputCallRequest{ResponseParameters: []*pb.ResponseParameters{{Size: i * 100}},
			Payload: payload(i * 10)})
		if err != nil {
			t.Error(err)
			return
		}
		r, err := stream.Recv()
		if err != nil || int32(len(r.Payload.GetBody())) != i*100 {
			t.Errorf("%d: %d bytes, %v", i, len(r.GetPayload().GetBody()), err)
			return
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestDeadlinesAndCancellationsReachTheServer(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		client, s, _ := serve(t, kind)
		soon, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer stop()
		_, err := client.UnaryCall(soon, &pb.SimpleRequest{ResponseSize: -1})
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("deadline: %v", err)
		}
		ctx, cancel := context.WithCancel(testContext(t))
		stream, err := client.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
			t.Errorf("cancel: %v", err)
		}
		_, err = client.UnaryCall(testContext(t), &pb.SimpleRequest{ResponseSize: 1})
		if err != nil {
			t.Error(err)
		}
		select {
		case <-s.cancelled:
		default: // the deadline came before the call
		}
	})
}

func TestAServerThatStopsLetsCallsEnd(t *testing.T) {
	eachKind(t, func(t *testing.T, kind string) {
		client, _, stop := serve(t, kind)
		stream, err := client.FullDuplexCall(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		send := func() {
			err := stream.Send(&pb.StreamingOutputCallRequest{ResponseParameters: []*pb.ResponseParameters{{Size: 10}}})
			if err != nil {
				t.Error(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Error(err)
			}
		}
		send()
		stopped := make(chan bool)
		go func() {
			stop()
			close(stopped)
		}()
		send()
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := stream.Recv(); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
		<-stopped
	})
}
