// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/command"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
)

func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

func TestWrongFlagsAreSaid(t *testing.T) {
	for _, args := range [][]string{{"-runs", "0"}, {"-duration", "1ns"}, {"-transport", "tcp"}, {"more"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q are taken", args)
		}
	}
}

// pair is the host's end of a connection whose other end obeys.
func pair(t *testing.T) (c net.Conn, obeyed chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	obeyed = make(chan error, 1)
	go func() {
		obeyed <- obeyAll(theirs)
		_ = theirs.Close()
	}()
	t.Cleanup(func() { _ = ours.Close() })
	return ours, obeyed
}

func TestTheFirstBytesAreComparedAtBothEnds(t *testing.T) {
	c, obeyed := pair(t)
	if err := compareFirst(c); err != nil {
		t.Error(err)
	}
	if err := give(c, orderCompare, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{content[0], content[1], ^content[2]}); err != nil {
		t.Fatal(err)
	}
	if err := confirmed(c); err == nil || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong byte: %v", err)
	}
	if same, err := take(strings.NewReader("not content"), 11, make([]byte, len(content)), true); same || err != nil {
		t.Errorf("others are taken for content: %v, %v", same, err)
	}
	_ = c.Close()
	if err := <-obeyed; err != nil {
		t.Error(err)
	}
}

func TestAnUnknownOrderEndsTheConnection(t *testing.T) {
	c, obeyed := pair(t)
	if err := give(c, 99, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-obeyed; err == nil {
		t.Error("it was obeyed")
	}
}

// Each way is measured whole, in one machine.
func TestEachWayIsMeasuredAndWritten(t *testing.T) {
	c := config{runs: 1, duration: 10 * time.Millisecond, transport: boundary.TransportDoorbell, buffer: "64K", out: t.TempDir()}
	if code := measureAll(t.Context(), c); code != command.OK {
		t.Fatalf("exit code %d", code)
	}
	checkResults(t, c)
}

func checkResults(t *testing.T, c config) {
	t.Helper()
	file, err := os.Open(filepath.Join(c.out, result.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	type key struct {
		way       string
		direction result.Direction
		conns     int
	}
	seen := map[key]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var m measured
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		seen[key{m.Way, m.Direction, m.Conns}]++
		if m.ElapsedS <= 0 || m.CPU.QEMUS <= 0 || m.Accelerator == "" || m.Transport != c.transport {
			t.Errorf("%+v", m)
		}
		if (m.CPU.ForwardS > 0) != (m.Way == viaForward) || (m.Trips > 0) != (m.Direction == "") || (m.Bytes > 0) == (m.Direction == "") {
			t.Errorf("%+v", m)
		}
	}
	want := 0
	for _, w := range ways {
		for _, d := range append([]result.Direction{""}, directions...) {
			for _, conns := range []int{1, connsMax} {
				if conns > w.conns || d == "" && conns > 1 {
					continue
				}
				want++
				if n := seen[key{w.name, d, conns}]; n != 1 {
					t.Errorf("%s, direction %q, %d connections: %d lines", w.name, d, conns, n)
				}
			}
		}
	}
	if len(seen) != want {
		t.Errorf("%d kinds of lines instead of %d: %v", len(seen), want, seen)
	}
	text, err := os.ReadFile(filepath.Join(c.out, "table.txt"))
	if err != nil || !strings.Contains(string(text), "guest-host, connections: 4\n") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestConnectionsEndWithTheGuestsProgram(t *testing.T) {
	ours, theirs := net.Pipe()
	ended := make(chan struct{})
	defer hangUpAfter(t.Context(), ended, []net.Conn{ours})()
	close(ended)
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}
