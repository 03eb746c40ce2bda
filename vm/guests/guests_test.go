// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dx/go/dx"
	"dx/internal/child"
	"dx/vm/internal/adder"
	"dx/vm/machine"
	"dx/vm/quick"
)

const (
	patience = adder.Patience
	// pauseMax is what a guest's death may hold up the others: nothing by the protocol; a loaded machine
	// needs some, far below what a lost wake-up would cost, for which the guests would sleep a minute.
	pauseMax = 2 * time.Second

	urlEnv  = "DX_GUESTS_URL"  // set: be a guest there
	bindEnv = "DX_GUESTS_BIND" // "1": bind the device first
)

// TestMain lets the test program be a machine's init, a guest in one and a guest beside them.
func TestMain(m *testing.M) {
	quick.Init()
	if os.Getenv(urlEnv) == "" {
		os.Exit(m.Run())
	}
	if err := serve(os.Getenv(urlEnv)); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// serve is the guest, until its host closes.
func serve(url string) error {
	ch, err := adder.Attach(url, os.Getenv(bindEnv) == "1", dx.PathNative)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return adder.Serve(ch)
}

// startProcess starts a guest beside the machines.
func startProcess(t *testing.T, url string) *child.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), urlEnv+"="+url)
	p, err := child.StartReady(ctx, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// startMachine boots a machine that is connected to the host's socket, and starts a guest in it.
func startMachine(t *testing.T, url string) (*quick.Guest, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := quick.Boot(ctx, quick.Config{Accel: machine.TCG, IOMMU: true, MemoryMiB: 256,
		Region:  machine.Region{Socket: strings.TrimPrefix(url, "unix:"), Vectors: 1},
		Modules: []string{"vfio_iommu_type1", "vfio-pci"}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(g.Kill)
	r, w := io.Pipe()
	c, err := g.Start([]string{quick.Self}, []string{urlEnv + "=ivshmem:doorbell", bindEnv + "=1"}, w, w)
	if err != nil {
		return nil, err
	}
	go func() { <-c.Ended(); _ = w.Close() }()
	said, err := bufio.NewReader(r).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if err != nil || said != "ready\n" {
		return nil, fmt.Errorf("the guest says %q (%v)", said, err)
	}
	return g, nil
}

// traffic is verified calls on one channel, one after the other, until it is stopped or one fails.
type traffic struct {
	calls   atomic.Uint64
	stop    atomic.Bool
	ended   chan struct{}
	err     error
	longest time.Duration
}

func startTraffic(ch *dx.Channel) *traffic {
	w := &traffic{ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for n := uint64(0); !w.stop.Load() && w.err == nil; n++ {
			began := time.Now()
			w.err = adder.Call(ch, n)
			w.longest = max(w.longest, time.Since(began))
			w.calls.Add(1)
		}
	}()
	return w
}

// await returns when so many more calls have been made, or the traffic has ended.
func (w *traffic) await(t *testing.T, more uint64) {
	t.Helper()
	until := w.calls.Load() + more
	deadline := time.Now().Add(patience)
	for w.calls.Load() < until {
		select {
		case <-w.ended:
			t.Fatalf("the traffic ended: %v", w.err)
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("the traffic stands still")
		}
	}
}

func (w *traffic) end(t *testing.T) {
	t.Helper()
	w.stop.Store(true)
	<-w.ended
	if w.err != nil || w.longest > pauseMax {
		t.Errorf("after %d calls, of which the longest took %v: %v", w.calls.Load(), w.longest, w.err)
	}
}

func accept(t *testing.T, l *dx.Listener) (*dx.Channel, dx.Peer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ch, peer, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ch, peer
}

// Two machines and a process at one socket: the host tells them apart, one machine is killed, the
// others do not notice, and a process takes its place.
func TestTwoMachinesAndAProcessShareAHost(t *testing.T) {
	url := "unix:" + filepath.Join(t.TempDir(), "dx")
	l, err := dx.Listen(url, 3, dx.Config{Slots: 1, RequestBytes: 8, ResponseBytes: 8,
		Options: dx.Options{Wait: adder.Sleeper()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var boots sync.WaitGroup
	var machines [2]*quick.Guest
	var failed [2]error
	for i := range machines {
		boots.Go(func() { machines[i], failed[i] = startMachine(t, url) })
	}
	process := startProcess(t, url)
	t.Cleanup(func() { _ = process.Cmd.Process.Kill() })
	if boots.Wait(); errors.Join(failed[:]...) != nil {
		t.Fatal(errors.Join(failed[:]...))
	}
	ids, sessions, elsewhere := map[int]bool{}, map[uint64]bool{}, map[uint64]bool{}
	var loads []*traffic
	for range 3 {
		ch, peer := accept(t, l)
		ids[peer.ID], sessions[peer.Session] = true, true
		if peer.Remote {
			elsewhere[peer.Kernel] = true
			if ch.Park() != 4 {
				t.Errorf("beside %+v the host parks by %v", peer, ch.Park())
			}
		} else if peer.PID != process.Cmd.Process.Pid {
			t.Errorf("the process is %+v", peer)
		}
		loads = append(loads, startTraffic(ch))
	}
	if len(ids) != 3 || ids[-1] || len(sessions) != 3 || len(elsewhere) != 2 {
		t.Fatalf("ids %v, sessions %v, kernels of machines %v", ids, sessions, elsewhere)
	}
	for _, w := range loads {
		w.await(t, 200)
	}
	// Which place it has shows by whose traffic ends.
	machines[0].Kill()
	select {
	case <-loads[0].ended:
	case <-loads[1].ended:
	case <-loads[2].ended:
	case <-time.After(patience):
		t.Fatal("nobody noticed the death of a machine")
	}
	checkTheRest(t, l, loads, url, sessions)
}

// checkTheRest: one traffic has ended because its peer is dead, the others go on, and another guest
// comes into the place.
func checkTheRest(t *testing.T, l *dx.Listener, loads []*traffic, url string, sessions map[uint64]bool) {
	t.Helper()
	dead := 0
	for i, w := range loads {
		select {
		case <-w.ended:
			dead++
			if !errors.Is(w.err, dx.ErrPeerDead) {
				t.Errorf("the traffic with the dead machine ended with %v", w.err)
			}
			loads[i] = nil
		default:
			w.await(t, 200)
		}
	}
	if dead != 1 {
		t.Fatalf("%d guests were lost with one machine", dead)
	}
	next := startProcess(t, url)
	t.Cleanup(func() { _ = next.Cmd.Process.Kill() })
	ch, peer := accept(t, l)
	if peer.PID != next.Cmd.Process.Pid || sessions[peer.Session] || peer.Remote {
		t.Errorf("the next guest is %+v", peer)
	}
	for n := range uint64(200) {
		if err := adder.Call(ch, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range loads {
		if w != nil {
			w.end(t)
		}
	}
}
