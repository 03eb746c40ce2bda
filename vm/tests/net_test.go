// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"dx/go/dx"
	"dx/go/dxnet"
	"dx/vm/machine"
	"dx/vm/quick"
)

// netConfig is for connections into a machine: no side is taken for dead because it gets no CPU.
func netConfig(side dxnet.Side) dxnet.Config {
	w, err := dx.Preset("balanced")
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	w.PeerTimeoutNs = int64(1000 * time.Second)
	return dxnet.Config{Side: side, Conns: 4, Options: dx.Options{Wait: &w}}
}

// relay accepts connections and joins each two of them: what comes by one leaves by the other. It says on
// each that it was accepted: one that is closed before that is never seen here, and the next would be
// joined to another's partner.
func relay(url string) error {
	l, err := netConfig(dxnet.SideGuest).Listen(url)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		var pair [2]*dxnet.Conn
		for i := range pair {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			if _, err := c.Write([]byte{accepted}); err != nil {
				return err
			}
			pair[i] = c.(*dxnet.Conn)
		}
		go join(pair[0], pair[1])
	}
}

// accepted is the first byte that relay sends.
const accepted = 'a'

func join(a, b *dxnet.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]*dxnet.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_ = way[1].CloseWrite()
		})
	}
	both.Wait()
	_ = a.Close()
	_ = b.Close()
}

// Both ends of each connection are here, and the middle of it is a program in the machine.
func TestConnectionsIntoAMachineAreAsPackageNetMeansThem(t *testing.T) {
	const bytes = 1 << 20
	path := filepath.Join("/dev/shm", fmt.Sprintf("dx-test-net-%d", os.Getpid()))
	region, err := machine.CreateRegion(path, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := quick.Boot(ctx, quick.Config{Accel: machine.TCG, MemoryMiB: 256, Region: region})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Kill)
	if _, err := g.Start([]string{quick.Self}, []string{roleEnv + "=relay", urlEnv + "=ivshmem:plain"},
		os.Stdout, os.Stderr); err != nil {
		t.Fatal(err)
	}
	dial := func() *dxnet.Conn {
		c, err := netConfig(dxnet.SideHost).Dial(ctx, "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		var said [1]byte
		if _, err := io.ReadFull(c, said[:]); err != nil || said[0] != accepted {
			t.Fatalf("the middle says %q, %v", said, err)
		}
		return c
	}
	held := [2]*dxnet.Conn{dial(), dial()} // as many as are joined; they keep the channel open
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, b := dial(), dial()
		return a, b, func() {
			_ = a.Close()
			_ = b.Close()
		}, nil
	})
	for _, c := range held {
		_ = c.Close()
	}
}
