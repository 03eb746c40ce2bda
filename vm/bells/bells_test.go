// SPDX-License-Identifier: Apache-2.0

package bells

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/go/dx"
	"dx/vm/machine"
	"dx/vm/quick"
)

// patience is for one step on a loaded machine, under translated code.
const patience = 60 * time.Second

// roleEnv says what the test program does in the guest; bindEnv, pathEnv: "1" to bind the device
// first, "cgo" to run the C library's loops.
const (
	roleEnv = "DX_BELLS_ROLE"
	bindEnv = "DX_BELLS_BIND"
	pathEnv = "DX_BELLS_PATH"
	urlEnv  = "DX_BELLS_URL"
)

// TestMain lets the test program be the guest's init, and what it runs.
func TestMain(m *testing.M) {
	quick.Init()
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	if err := serve(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// parkOnly is a strategy that sleeps at once, and for a minute if nobody rings.
func parkOnly() *dx.Wait {
	w, err := dx.Preset("balanced")
	if err != nil {
		panic(err)
	}
	w.SpinMin, w.SpinStart, w.SpinMax, w.Adapt = 0, 0, 0, dx.AdaptOff
	w.ParkTimeoutNs = int64(time.Minute)
	return &w
}

func pathOf(name string) dx.Path {
	if name == "cgo" {
		return dx.PathCgo
	}
	return dx.PathNative
}

// serve is the guest: it says how it parks and what it could not have, then answers every number with
// the next one, until the host closes.
func serve() error {
	url := os.Getenv(urlEnv)
	if os.Getenv(bindEnv) == "1" {
		if err := dx.BindDevice(url); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ch, err := dx.Attach(ctx, url, dx.Options{Wait: parkOnly(), Path: pathOf(os.Getenv(pathEnv))})
	if err != nil {
		return err
	}
	fmt.Printf("attached, parks by %v; %s\n", ch.Park(), ch.Notice())
	err = ch.Serve(context.Background(), dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		binary.LittleEndian.PutUint64(response, binary.LittleEndian.Uint64(q.Data)+1)
		return 8, 0
	}))
	if errors.Is(err, dx.ErrPeerClosed) {
		err = nil
	}
	return errors.Join(err, ch.Close())
}

// scene is a host at a socket and a guest at its device.
type scene struct {
	t     *testing.T
	host  *dx.Channel
	url   string
	guest *quick.Guest
}

func newScene(t *testing.T, path string) *scene {
	t.Helper()
	s := &scene{t: t, url: "unix:" + filepath.Join(t.TempDir(), "dx")}
	s.open(path)
	return s
}

func (s *scene) open(path string) {
	s.t.Helper()
	host, err := dx.Create(s.url, dx.Config{Slots: 4, RequestBytes: 8, ResponseBytes: 8,
		Options: dx.Options{Wait: parkOnly(), Path: pathOf(path)}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = host.Close() })
	s.host = host
}

// boot starts a virtual machine that is connected to the host's socket.
func (s *scene) boot() *quick.Guest {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := quick.Boot(ctx, quick.Config{Accel: machine.TCG, IOMMU: true,
		Region:  machine.Region{Socket: strings.TrimPrefix(s.url, "unix:"), Vectors: 1},
		Modules: []string{"vfio_iommu_type1", "vfio-pci"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(g.Kill)
	s.guest = g
	return g
}

// start runs the guest's part and returns what it says when it is attached.
func (s *scene) start(g *quick.Guest, url, bind, path string) string {
	s.t.Helper()
	r, w := io.Pipe()
	env := []string{roleEnv + "=serve", urlEnv + "=" + url, bindEnv + "=" + bind, pathEnv + "=" + path}
	c, err := g.Start([]string{quick.Self}, env, w, w)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() { <-c.Ended(); _ = w.Close() }()
	said, err := bufio.NewReader(r).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err != nil || !strings.HasPrefix(said, "attached") {
		s.t.Fatalf("the guest says %q (%v)", said, err)
	}
	return said
}

// calls makes n calls, verified, and returns the time that the median took.
func (s *scene) calls(n int) time.Duration {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	caller, err := s.host.Caller(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	defer caller.Close()
	var request, response [8]byte
	took := make([]time.Duration, n)
	for i := range n {
		binary.LittleEndian.PutUint64(request[:], uint64(i))
		began := time.Now()
		reply, err := caller.Call(ctx, dx.TypeUser, request[:], response[:])
		took[i] = time.Since(began)
		if err != nil {
			s.t.Fatalf("call %d: %v", i, err)
		}
		if got := binary.LittleEndian.Uint64(reply.Data); got != uint64(i)+1 {
			s.t.Fatalf("call %d was answered %d", i, got)
		}
	}
	slices.Sort(took)
	return took[n/2]
}

func TestBothSidesWakeEachOtherByDoorbell(t *testing.T) {
	for _, path := range []string{"go", "cgo"} {
		t.Run(path, func(t *testing.T) {
			s := newScene(t, path)
			said := s.start(s.boot(), "ivshmem:doorbell", "1", path)
			if !strings.Contains(said, "parks by doorbell; \n") {
				t.Fatalf("the guest says %q", said)
			}
			if s.host.Park() != 4 {
				t.Errorf("the host parks by %v", s.host.Park())
			}
			median := s.calls(2000)
			t.Logf("parked round trip, median: %v", median)
		})
	}
}
