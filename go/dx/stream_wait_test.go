// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx

import (
	"runtime"
	"testing"
)

// exchangeBytes echoes bytes through a stream, each after the one before, and returns what both sides
// have counted.
func exchangeBytes(t *testing.T, wait *Wait, bytes int) (callers, servers Stats) {
	t.Helper()
	host := newHost(t, Config{RequestBytes: 64, ResponseBytes: 64, Options: Options{Wait: wait}})
	serve(t, host, echo, Options{Wait: wait}, ServeOptions{Streams: streamHandler})
	c := newCallerOf(t, host)
	s := openStream(t, c, streamEcho, 0)
	var b [1]byte
	for i := range bytes {
		b[0] = patternByte(uint64(i))
		if _, err := s.Write(b[:]); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Read(b[:]); n != 1 || err != nil || b[0] != patternByte(uint64(i)) {
			t.Fatalf("byte %d: %d of %d, %v", i, b[0], n, err)
		}
	}
	mustEnd(t, s, 1)
	mustEcho(t, c)
	callers, err := host.Stats(HostCallers)
	if err != nil {
		t.Fatal(err)
	}
	// The server adds up what a stream has counted when it comes to it, which can be after the next answer.
	for servers.Calls != 2 {
		runtime.Gosched()
		if servers, err = host.Stats(GuestServers); err != nil {
			t.Fatal(err)
		}
	}
	return callers, servers
}

func TestStreamsCountTheirSleeps(t *testing.T) {
	callers, servers := exchangeBytes(t, parksAtOnce(t), 200)
	for side, s := range map[string]Stats{"callers": callers, "servers": servers} {
		if s.Parks < 20 || s.Park < 20 || s.ParkNs == 0 || s.Rings < 20 || s.Rescued != 0 {
			t.Errorf("%s: %+v", side, s)
		}
	}
}

func TestStreamsSpinAsTheStrategySays(t *testing.T) {
	for _, relax := range []Relax{RelaxNone, RelaxPause, RelaxHardware} {
		for _, every := range []uint32{0, 1} {
			w := spinner(t)
			w.Relax, w.YieldEvery, w.Adapt = relax, every, AdaptOff
			// Without yields, a CPU that all share is passed on by the runtime alone, every 10 ms.
			callers, servers := exchangeBytes(t, w, 5)
			for side, s := range map[string]Stats{"callers": callers, "servers": servers} {
				if s.Parks != 0 || s.Looks == 0 || (s.Yields != 0) != (every != 0) || (s.Yield != 0) && every == 0 {
					t.Errorf("relax %v, yield_every %d, %s: %+v", relax, every, side, s)
				}
			}
		}
	}
}
