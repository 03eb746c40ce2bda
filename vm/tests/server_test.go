// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"dx/go/dx"
	"dx/libdx"
	"dx/vm/quick"
)

// noticeMax is how late the death of a machine may be noticed where no socket's end tells of it: the
// heartbeat may stand still for peerTimeout, and is looked at 4 times a second. The rest is for a loaded
// machine; a call's own limit is many times as long.
const noticeMax = 10 * time.Minute

// rendezvous is the daemon: it serves until it is killed, or its input ends.
func rendezvous(path string) error {
	r, err := libdx.ServeRendezvous(path, 1<<20, 1)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return r.Close()
}

// startRole starts the test program again, as a server that can be killed: kill returns when it is gone.
func startRole(t *testing.T, role, url string) (kill func()) {
	t.Helper()
	p := startSelf(t, role, url)
	ended := false
	kill = func() {
		if !ended {
			ended = true
			_ = p.Cmd.Process.Kill()
			_ = p.End() // it was killed
		}
	}
	t.Cleanup(kill)
	return kill
}

// look attaches if there is a living host within a second.
func look(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	ch, err := dx.Attach(ctx, url, dx.Options{})
	if err != nil {
		return err
	}
	return ch.Close()
}

// nobodyServes checks what somebody is told who comes to a socket that a dead server has left.
func nobodyServes(t *testing.T, url string) {
	t.Helper()
	if err := look(url); !errors.Is(err, dx.ErrNoPeer) {
		t.Errorf("a newcomer gets: %v", err)
	}
}

// The daemon of a rendezvous is killed under calls that sleep, and started again. Those who have met
// go on, by doorbell as before; a new machine and a new host meet at the new server.
func TestCallsSurviveTheServerAndANewOneServesNewPeers(t *testing.T) {
	url := socketURL(t)
	kill := startRole(t, "rendezvous", url[len("unix:"):])
	old := &scene{t: t, url: url}
	old.open("go")
	old.start(old.boot(), "ivshmem:doorbell", "1", "cgo")
	load := startTraffic(old.host)
	load.await(t, 300)
	kill()
	load.await(t, 1000)
	nobodyServes(t, url)
	// Without doorbells the looks for the peer's life would rescue each call. On a loaded machine they
	// may be in time now and then.
	callers, servers := old.stats()
	if rescued := callers.Rescued + servers.Rescued; rescued > callers.Calls/20 || servers.Parks < 100 ||
		callers.Rings < 100 || old.guest.Err() != nil {
		t.Errorf("not by doorbell: host %+v, guest %+v, QEMU %v", callers, servers, old.guest.Err())
	}

	startRole(t, "rendezvous", url[len("unix:"):]) // takes the dead one's name over
	next := &scene{t: t, url: url}
	next.open("go")
	next.start(next.boot(), "ivshmem:doorbell", "1", "cgo")
	next.calls(1000)
	load.await(t, 300)

	// Without its server the old machine's death shows by its heartbeat only; the new one goes on. The
	// old host's name is the new server's by now: it may have noticed that nobody new can come to it.
	began := time.Now()
	old.guest.Kill()
	select {
	case <-load.ended:
	case <-time.After(patience):
		t.Fatal("nobody noticed the death of the machine")
	}
	dead := errors.Is(load.err, dx.ErrPeerDead) || errors.Is(load.err, dx.ErrNameRemoved)
	if took := time.Since(began); !dead || took > noticeMax {
		t.Errorf("after %v the calls ended with %v", took, load.err)
	}
	next.calls(100)
}

// host serves a socket itself and calls whoever comes, until it is killed.
func host(url string) error {
	ch, err := dx.Create(url, dx.Config{Slots: 4, RequestBytes: 8, ResponseBytes: 8,
		Options: dx.Options{Wait: sleeper()}})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for n := uint64(0); err == nil; n++ {
		err = call(ch, n)
	}
	return err
}

// A host that serves its socket itself is killed: its guest is told within a bound, and the machine
// lives; but only a new machine meets the next host.
func TestAKilledHostIsNoticedByItsMachineAndTheNextOneNeedsAnother(t *testing.T) {
	s := &scene{t: t, url: socketURL(t)}
	kill := startRole(t, "host", s.url)
	g := s.boot()
	guest, said := s.launch(g, "serve", "ivshmem:doorbell", "1", "go")
	if line, err := said.ReadString('\n'); err != nil {
		t.Fatal(line, err)
	}
	kill()
	began := time.Now()
	line, err := said.ReadString('\n')
	took := time.Since(began)
	if err != nil || line != "failed: "+dx.ErrPeerDead.Error()+"\n" || took > noticeMax {
		t.Errorf("%v after its host's death the guest says %q (%v)", took, line, err)
	}
	if err := guest.Wait(); err == nil || errors.Is(err, quick.ErrGone) || g.Err() != nil {
		t.Errorf("the guest ended with %v, QEMU: %v", err, g.Err())
	}
	nobodyServes(t, s.url)
	s.open("go") // takes the dead one's name over
	// The old machine has the dead host's memory.
	_, said = s.launch(g, "look", "ivshmem:doorbell", "", "go")
	line, err = said.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "failed: "+dx.ErrStale.Error()) {
		t.Errorf("the old machine finds %q (%v)", line, err)
	}
	g.Kill()
	s.start(s.boot(), "ivshmem:doorbell", "1", "go")
	s.calls(500)
}
