// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dx/go/dx"
	"dx/vm/quick"
)

// pauseMax is what a guest's death may hold up the others: nothing by the protocol; a loaded machine
// needs some, below what a lost wake-up costs, for which both sides sleep a minute (rareLooks).
const pauseMax = 30 * time.Second

// startMachine boots a machine that is connected to the host's socket, and starts a guest in it.
func startMachine(t *testing.T, url string) (*quick.Guest, error) {
	g, err := bootAt(t, url, quick.Config{})
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	env := []string{roleEnv + "=guest", urlEnv + "=ivshmem:doorbell", bindEnv + "=1", livenessEnv + "=" + liveness.String()}
	c, err := g.Start([]string{quick.Self}, env, w, w)
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
	rareLooks(t)
	patientPeers(t)
	url := "unix:" + filepath.Join(t.TempDir(), "dx")
	l, err := dx.Listen(url, 3, dx.Config{Slots: 1, RequestBytes: 8, ResponseBytes: 8,
		Options: optionsOf(dx.PathNative)})
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
	process := startSelf(t, "guest", url)
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
			if ch.ParkKind() != 4 {
				t.Errorf("beside %+v the host parks by %v", peer, ch.ParkKind())
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
	next := startSelf(t, "guest", url)
	t.Cleanup(func() { _ = next.Cmd.Process.Kill() })
	ch, peer := accept(t, l)
	if peer.PID != next.Cmd.Process.Pid || sessions[peer.Session] || peer.Remote {
		t.Errorf("the next guest is %+v", peer)
	}
	for n := range uint64(200) {
		if err := call(ch, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range loads {
		if w != nil {
			w.end(t)
		}
	}
}
