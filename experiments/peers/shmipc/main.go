// SPDX-License-Identifier: Apache-2.0

// Shmipc is shmipc-go. A way is default, its configuration as it comes, or tuned: shared memory without
// a name, slices of the payload's size and a larger queue, as in its own benchmark (bench_test.go). In
// both each caller has a stream of its own, and all share a session. Its module is its own, so that
// nobody who uses dx needs shmipc-go.
package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cloudwego/shmipc-go"

	"dx/experiments/peers/contract"
)

func main() {
	contract.Main(contract.Peer{Serve: serve, Open: open, Close: closeSession})
}

// configOf is that of a way. Names in shared memory begin with the folder's.
func configOf(o contract.Options) (*shmipc.Config, error) {
	c := shmipc.DefaultConfig()
	c.LogOutput = os.Stderr
	c.ShareMemoryPathPrefix = filepath.Join("/dev/shm", filepath.Base(o.At))
	c.QueuePath = c.ShareMemoryPathPrefix + "-queue"
	c.InitializeTimeout = time.Minute
	switch o.Way {
	case "default":
	case "tuned":
		c.MemMapType = shmipc.MemMapTypeMemFd
		c.QueueCap = 65535
		c.ConnectionWriteTimeout = time.Second
		c.ShareMemoryBufferCap = 256 << 20
		c.BufferSliceSizes = []*shmipc.SizePercentPair{
			{Size: uint32(o.Payload) + 256, Percent: 70}, {Size: 16 << 10, Percent: 20}, {Size: 64 << 10, Percent: 10}}
	default:
		return nil, fmt.Errorf("-way %s: there is no such way", o.Way)
	}
	return c, nil
}

func serve(o contract.Options) (end func(), err error) {
	config, err := configOf(o)
	if err != nil {
		return nil, err
	}
	listener, err := o.Listen()
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // the end
			}
			go serveSession(connection, config, o.Payload)
		}
	}()
	return func() { _ = listener.Close() }, nil
}

func serveSession(connection net.Conn, config *shmipc.Config, payload int) {
	session, err := shmipc.Server(connection, config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "session:", err)
		return
	}
	defer func() { _ = session.Close() }()
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			return
		}
		go answer(stream, payload)
	}
}

// answer copies each request into the next response, from shared memory to shared memory.
func answer(stream *shmipc.Stream, payload int) {
	for {
		request, err := stream.BufferReader().ReadBytes(payload)
		if err != nil {
			return
		}
		if _, err := stream.BufferWriter().WriteBytes(request); err != nil {
			return
		}
		stream.BufferReader().ReleasePreviousRead()
		if err := stream.Flush(false); err != nil {
			return
		}
	}
}

var (
	options contract.Options
	manager *shmipc.SessionManager
	connect = sync.OnceValue(func() (err error) {
		c := shmipc.DefaultSessionManagerConfig()
		if c.Config, err = configOf(options); err != nil {
			return err
		}
		c.Network, c.Address, c.SessionNum = "unix", options.Socket(), 1
		manager, err = shmipc.NewSessionManager(c)
		return err
	})
)

func open(o contract.Options, _ int) (contract.Call, error) {
	options = o
	if err := connect(); err != nil {
		return nil, err
	}
	c := &caller{}
	return c.call, c.connect()
}

// caller has a stream; after an error it takes another one, since the session manager connects again.
type caller struct{ stream *shmipc.Stream }

func (c *caller) connect() (err error) {
	c.stream, err = manager.GetStream()
	return err
}

func (c *caller) call(request, response []byte) (err error) {
	if c.stream == nil {
		if err := c.connect(); err != nil {
			return err
		}
	}
	if err = exchange(c.stream, request, response); err != nil {
		c.stream.Close()
		c.stream = nil
	}
	return err
}

func exchange(stream *shmipc.Stream, request, response []byte) error {
	if _, err := stream.BufferWriter().WriteBytes(request); err != nil {
		return err
	}
	if err := stream.Flush(false); err != nil {
		return err
	}
	reply, err := stream.BufferReader().ReadBytes(len(response))
	if err != nil {
		return err
	}
	copy(response, reply)
	stream.ReleaseReadAndReuse()
	return nil
}

func closeSession() error { return manager.Close() }
