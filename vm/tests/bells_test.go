// SPDX-License-Identifier: Apache-2.0

package tests

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
	"strconv"
	"strings"
	"testing"
	"time"

	"dx/go/dx"
	"dx/libdx"
	"dx/vm/quick"
)

// roleEnv says what the test program does: "serve", "guest" and "look" in the guest, "rendezvous",
// "host" and "guest" beside the test. bindEnv, pathEnv: "1" to bind the device first, "cgo" to run the C library's loops.
const (
	roleEnv = "DX_VM_TESTS_ROLE"
	bindEnv = "DX_VM_TESTS_BIND"
	pathEnv = "DX_VM_TESTS_PATH"
	urlEnv  = "DX_VM_TESTS_URL"
	// livenessEnv is rareLooks for the guest.
	livenessEnv = "DX_VM_TESTS_LIVENESS"

	callsEnv = "DX_VM_TESTS_CALLS" // how many calls to look for a lost wake-up in
)

// TestMain lets the test program be the guest's init, and what it runs.
func TestMain(m *testing.M) {
	quick.Init()
	if os.Getenv(roleEnv) == "" {
		os.Exit(m.Run())
	}
	if err := play(os.Getenv(roleEnv)); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(role string) error {
	switch url := os.Getenv(urlEnv); role {
	case "rendezvous":
		return rendezvous(url)
	case "host":
		return host(url)
	case "echo":
		return echo()
	case "relay":
		return relay(url)
	case "look":
		return look(url)
	case "guest":
		return guest(url)
	default:
		return serve(url)
	}
}

func pathOf(name string) dx.Path {
	if name == "cgo" {
		return dx.PathCgo
	}
	return dx.PathNative
}

// serve is the guest: it says how it parks and what it could not have, then answers every number with
// the next one, until the host closes.
func serve(url string) (err error) {
	if liveness, err = time.ParseDuration(os.Getenv(livenessEnv)); err != nil {
		return err
	}
	ch, err := attach(url, os.Getenv(bindEnv) == "1", pathOf(os.Getenv(pathEnv)))
	if err != nil {
		return err
	}
	fmt.Printf("attached, parks by %v; %s\n", ch.ParkKind(), ch.Notice())
	return answer(ch)
}

// guest is one of several, until its host closes.
func guest(url string) (err error) {
	if text := os.Getenv(livenessEnv); text != "" { // not of a process beside the test
		if liveness, err = time.ParseDuration(text); err != nil {
			return err
		}
	}
	ch, err := attach(url, os.Getenv(bindEnv) == "1", dx.PathNative)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return answer(ch)
}

// scene is a host at a socket and a guest at its device.
type scene struct {
	t       *testing.T
	host    *dx.Channel
	url     string
	guest   *quick.Guest
	serving *quick.Command // the guest's part
}

// sharedMachine is a machine that is connected to the socket of a daemon. Hosts connect there, one after
// the other.
type sharedMachine struct {
	url   string
	guest *quick.Guest
}

func newSharedMachine(t *testing.T, c quick.Config) *sharedMachine {
	t.Helper()
	m := &sharedMachine{url: socketURL(t)}
	startRole(t, "rendezvous", strings.TrimPrefix(m.url, "unix:"))
	g, err := bootAt(t, m.url, c)
	if err != nil {
		t.Fatal(err)
	}
	m.guest = g
	return m
}

// newScene opens a host, which is closed with the test.
func (m *sharedMachine) newScene(t *testing.T, path string) *scene {
	t.Helper()
	s := &scene{t: t, url: m.url, guest: m.guest}
	s.open(path)
	return s
}

// socketURL is a place for a socket; t.TempDir would put the test's name in it, and a path to a socket
// has no room for that.
func socketURL(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "dx-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return "unix:" + filepath.Join(folder, "dx")
}

func newScene(t *testing.T, path string) *scene {
	t.Helper()
	s := &scene{t: t, url: socketURL(t)}
	s.open(path)
	return s
}

func (s *scene) open(path string) {
	s.t.Helper()
	host, err := dx.Create(s.url, dx.Config{Slots: 4, RequestBytes: 8, ResponseBytes: 8,
		Options: optionsOf(pathOf(path))})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = host.Close()
		if s.serving != nil {
			<-s.serving.Ended()
		}
	})
	s.host = host
}

// boot starts a virtual machine that is connected to the host's socket.
func (s *scene) boot() *quick.Guest {
	s.t.Helper()
	g, err := bootAt(s.t, s.url, quick.Config{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.guest = g
	return g
}

// launch runs the guest's part; what it says is to be read.
func (s *scene) launch(g *quick.Guest, role, url, bind, path string) (*quick.Command, *bufio.Reader) {
	s.t.Helper()
	r, w := io.Pipe()
	env := []string{roleEnv + "=" + role, urlEnv + "=" + url, bindEnv + "=" + bind, pathEnv + "=" + path,
		livenessEnv + "=" + liveness.String()}
	c, err := g.Start([]string{quick.Self}, env, w, w)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() { <-c.Ended(); _ = w.Close() }()
	return c, bufio.NewReader(r)
}

// start runs the guest's part and returns what it says when it is attached.
func (s *scene) start(g *quick.Guest, url, bind, path string) string {
	s.t.Helper()
	var lines *bufio.Reader
	s.serving, lines = s.launch(g, "serve", url, bind, path)
	said, err := lines.ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, lines) }()
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
	caller, err := s.host.OpenCaller(ctx)
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

// These tests leave the machine as it was, so that they share one. The first of them needs the device
// without a driver.
func TestCallsIntoAMachine(t *testing.T) { callsInto(t, newSharedMachine(t, quick.Config{})) }

func callsInto(t *testing.T, m *sharedMachine) {
	t.Run("without_a_driver_the_guest_polls_and_says_so", m.withoutADriver)
	t.Run("plain_on_a_doorbell_device_polls_on_both_sides", m.plainOnADoorbellDevice)
	for _, path := range []string{"go", "cgo"} {
		t.Run("both_sides_wake_each_other_by_doorbell/"+path,
			func(t *testing.T) { m.bothSidesWakeEachOther(t, path) })
	}
	for host, guest := range map[string]string{"go": "cgo", "cgo": "go"} {
		t.Run("no_wake_up_is_lost/host_"+host, func(t *testing.T) { m.noWakeUpIsLost(t, host, guest) })
		t.Run("stolen_wake_ups_are_counted/host_"+host,
			func(t *testing.T) { m.stolenWakeUpsAreCounted(t, host, guest) })
	}
	t.Run("a_storm_of_doorbells_stops_no_call", m.storm)
	t.Run("plain_beside_a_driver_polls_on_both_sides", m.plainOnADoorbellDevice)
}

func (m *sharedMachine) bothSidesWakeEachOther(t *testing.T, path string) {
	s := m.newScene(t, path)
	said := s.start(m.guest, "ivshmem:doorbell", "1", path)
	if !strings.Contains(said, "parks by doorbell; \n") {
		t.Fatalf("the guest says %q", said)
	}
	if s.host.ParkKind() != 4 {
		t.Errorf("the host parks by %v", s.host.ParkKind())
	}
	t.Logf("parked round trip, median: %v", s.calls(2000))
}

// stats are those of the host's callers and of the guest's serving threads.
func (s *scene) stats() (callers, servers dx.Stats) {
	s.t.Helper()
	callers, err := s.host.Stats(dx.HostCallers)
	if err == nil {
		servers, err = s.host.Stats(dx.GuestServers)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return callers, servers
}

// liveness is of the channels that are opened afterwards, see libdx.SetLiveness.
var liveness time.Duration

func optionsOf(path dx.Path) dx.Options {
	o := dx.Options{Wait: sleeper(), Path: path}
	libdx.SetLiveness(&o, liveness)
	return o
}

// rareLooks makes a sleeper look after a minute only whether its peer lives, and thereby find what it
// was not woken for, in place of 20 ms.
func rareLooks(t *testing.T) {
	liveness = time.Minute
	t.Cleanup(func() { liveness = 0 })
}

// patientPeers lets a heartbeat stand still for long.
func patientPeers(t *testing.T) {
	usual := peerTimeout
	peerTimeout = 1000 * time.Second
	t.Cleanup(func() { peerTimeout = usual })
}

// A wake-up that is lost costs a minute: the call misses its deadline, or is counted as rescued by the
// end of its sleep.
func (m *sharedMachine) noWakeUpIsLost(t *testing.T, host, guest string) {
	rareLooks(t)
	s := m.newScene(t, host)
	s.start(m.guest, "ivshmem:doorbell", "1", guest)
	n := 5000
	if more, err := strconv.Atoi(os.Getenv(callsEnv)); err == nil {
		n = more
	}
	t.Logf("%d calls, median %v", n, s.calls(n))
	callers, servers := s.stats()
	t.Logf("host: %d parks, %d rings; guest: %d parks, %d rings", callers.Parks, callers.Rings,
		servers.Parks, servers.Rings)
	if callers.Rescued != 0 || servers.Rescued != 0 {
		t.Errorf("%d wake-ups of the host and %d of the guest were lost", callers.Rescued, servers.Rescued)
	}
	// A guest that still rings the host for one answer has the next request already.
	if servers.Parks < 100 || callers.Rings < 100 || servers.Rings < 1000 {
		t.Error("hardly anybody slept: nothing is shown")
	}
}

// Without vfio the guest rings through sysfs and polls, and says so; the host is woken all the same.
func (m *sharedMachine) withoutADriver(t *testing.T) {
	s := m.newScene(t, "go")
	said := s.start(m.guest, "ivshmem:doorbell", "", "go")
	if !strings.Contains(said, "parks by poll") || !strings.Contains(said, "dx bind") ||
		!strings.Contains(said, "rung through sysfs") {
		t.Errorf("the guest says %q", said)
	}
	if s.host.ParkKind() != 4 {
		t.Errorf("the host parks by %v", s.host.ParkKind())
	}
	t.Logf("round trip, median: %v", s.calls(1000))
	callers, servers := s.stats()
	if servers.Rings == 0 || callers.Rings != 0 {
		t.Errorf("the guest rang %d times, the host %d times", servers.Rings, callers.Rings)
	}
}

// ivshmem:plain on the same device neither rings nor is rung.
func (m *sharedMachine) plainOnADoorbellDevice(t *testing.T) {
	s := m.newScene(t, "go")
	s.start(m.guest, "ivshmem:plain", "", "go")
	if s.host.ParkKind() != dx.ParkPoll {
		t.Errorf("the host parks by %v", s.host.ParkKind())
	}
	s.calls(100)
}

// QEMU is killed while both sides are parked: the end of its socket wakes the host's call at once, and
// another machine goes on.
func TestAKilledMachineIsDeadAtOnceAndAnotherGoesOn(t *testing.T) {
	patientPeers(t)
	s := newScene(t, "go")
	for range 2 {
		g := s.boot()
		s.start(g, "ivshmem:doorbell", "1", "cgo")
		s.calls(100)
		began := time.Now()
		g.Kill()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := s.host.Call(ctx, dx.TypeUser, make([]byte, 8), make([]byte, 8))
		cancel()
		if !errors.Is(err, dx.ErrPeerDead) {
			t.Errorf("the call ended with %v", err)
		}
		// Well below the time for which a heartbeat may stand still.
		if took := time.Since(began); took > peerTimeout/2 {
			t.Errorf("that took %v", took)
		}
	}
}
