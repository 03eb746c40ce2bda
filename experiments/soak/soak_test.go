// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/experiments/internal/cload"
	"dx/experiments/internal/command"
	"dx/experiments/internal/ledger"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/proctest"
	"dx/go/dx"
	"dx/libdx"
)

// TestMain lets the test program be the processes that it starts.
func TestMain(m *testing.M) {
	peer.Become()
	os.Exit(m.Run())
}

// soakOnce runs a soak and returns its exit code and what it wrote.
func soakOnce(t *testing.T, c config) (code int, r report) {
	t.Helper()
	code = soakAndReport(context.Background(), c, t.Output(), t.Output())
	text, err := os.ReadFile(filepath.Join(c.out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{hangFile, "stderr.txt"} {
		if said, err := os.ReadFile(filepath.Join(c.out, name)); err == nil && len(said) > 0 {
			t.Logf("%s:\n%s", name, said)
		}
	}
	if readable, err := os.ReadFile(filepath.Join(c.out, "report.txt")); err != nil ||
		!strings.Contains(string(readable), "verdict "+r.Verdict) {
		t.Errorf("report.txt: %v\n%s", err, readable)
	}
	return code, r
}

func eventsOf(t *testing.T, c config) (faults []fault) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.out, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var f fault
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		faults = append(faults, f)
	}
	return faults
}

func TestShortSoakSurvivesEveryKindOfFault(t *testing.T) {
	for _, args := range [][]string{
		{"-transport", "shm", "-host", "go", "-guest", "go"},
		{"-transport", "shm", "-host", "c", "-guest", "c"},
		{"-transport", "unix", "-host", "mixed", "-guest", "mixed"},
		{"-transport", "file", "-host", "mixed", "-guest", "mixed", "-standby=false"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			// The seed has every kind of fault in it, and a process that lives through enough.
			c := proctest.Config(t, parse, append(args, "-kills", "16", "-faults", "50", "-era", "9",
				"-scribble", "-seed", "1", "-hang", "2m")...)
			code, r := soakOnce(t, c)
			if code != 0 || r.Verdict != "all right" || len(r.Failures) != 0 {
				t.Fatalf("exit code %d, %s: %q", code, r.Verdict, r.Failures)
			}
			if r.Kills < 16 || r.Calls.Verified == 0 || r.Calls.Wrong != 0 || r.Calls.HandledTwice != 0 ||
				r.Leaks.SlotChecks < 2 || r.Leaks.Judged == 0 || r.Command.Seed != 1 {
				t.Errorf("%+v", r)
			}
			faults := eventsOf(t, c)
			for _, kind := range []string{"kill", "stop", "close", "scribble"} {
				if !slices.ContainsFunc(faults, func(f fault) bool { return strings.HasPrefix(f.Kind, kind) }) {
					t.Errorf("no %s among %d faults", kind, len(faults))
				}
			}
			for _, f := range faults {
				if !f.Recovered || f.RecoveryNs <= 0 || f.AllCallersNs < f.RecoveryNs || f.Victim == "" {
					t.Errorf("%+v", f)
				}
				if dies := !strings.HasPrefix(f.Kind, "stop"); dies && (f.DeadNs <= 0 && f.Kind != "scribble" || f.ReadyNs <= 0) ||
					dies && !c.standby && f.StartNs <= 0 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := leftovers(t)
	for _, transport := range []string{"shm", "unix", "file"} {
		c := proctest.Config(t, parse, "-transport", transport, "-kills", "3", "-faults", "50", "-hang", "2m")
		if code, r := soakOnce(t, c); code != 0 {
			t.Errorf("%s: exit code %d: %q", transport, code, r.Failures)
		}
		if _, err := os.Stat(filepath.Join(c.out, "region")); err == nil {
			t.Errorf("%s: the region is still there", transport)
		}
	}
	if after := leftovers(t); !slices.Equal(before, after) {
		t.Errorf("before: %v, after: %v", before, after)
	}
}

// leftovers are names that soaks of this process may have left.
func leftovers(t *testing.T) (names []string) {
	t.Helper()
	for _, pattern := range []string{"/dev/shm/dx-soak-*", filepath.Join(os.TempDir(), "dx-soak-*")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

func TestWrongAnswerIsFound(t *testing.T) {
	c := proctest.Config(t, parse, "-faults", "0", "-calls", "100000000000", "-hang", "2m")
	c.wrongAt = 1000
	code, r := soakOnce(t, c)
	if code != command.Failed || r.Calls.Wrong != 1 || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "wrong answer") {
		t.Errorf("exit code %d, %d wrong: %q", code, r.Calls.Wrong, r.Failures)
	}
}

func TestHangIsFound(t *testing.T) {
	c := proctest.Config(t, parse, "-faults", "0", "-calls", "100000000000", "-hang", "2m", "-standby=false")
	c.hangWhen, c.hangLast = settled, time.Second
	code, r := soakOnce(t, c)
	if code != command.Failed || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "hang: caller ") {
		t.Errorf("exit code %d: %q", code, r.Failures)
	}
}

// A hang that comes with a fault is a recovery that does not.
func TestMissingRecoveryIsFound(t *testing.T) {
	c := proctest.Config(t, parse, "-faults", "50", "-kinds", "stop", "-calls", "100000000000", "-hang", "2m", "-standby=false")
	c.hangWhen, c.hangLast = stopped, time.Second
	code, r := soakOnce(t, c)
	if code != command.Failed || len(r.Failures) != 1 || !strings.Contains(r.Failures[0], "not within 1s") {
		t.Errorf("exit code %d: %q", code, r.Failures)
	}
}

func TestGoalThatIsNotReachedIsSaid(t *testing.T) {
	c := proctest.Config(t, parse, "-faults", "1", "-kills", "100000", "-duration", "200ms")
	if code, r := soakOnce(t, c); code != command.Failed || len(r.Failures) != 1 ||
		!strings.Contains(r.Failures[0], "goal not reached") {
		t.Errorf("exit code %d: %q", code, r.Failures)
	}
}

// watched is a soak without processes, for what it looks at.
func watched(t *testing.T) *soak {
	t.Helper()
	s, err := newSoak(proctest.Config(t, parse))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.endAll()
		_ = s.close()
	})
	return s
}

func TestWatchFindsWhatTheLedgerSays(t *testing.T) {
	for _, wrong := range []struct {
		want string
		do   func(s *soak)
	}{
		{"", func(s *soak) { s.ledger.Callers[1].Verified++; s.ledger.Callers[1].ForgedWrong++ }},
		{"", func(s *soak) { s.ledger.Callers[1].Failed[timedOut]++ }},
		{"wrong answer: caller 1 asked 7", func(s *soak) { s.ledger.Callers[1].Count(ledger.Stale, 7, nil) }},
		{"wrong answer: caller 0", func(s *soak) { s.ledger.Callers[0].Count(ledger.Other, 7, nil) }},
		{"handled again", func(s *soak) { s.ledger.Callers[2].Handle(1, 5); s.ledger.Callers[2].Handle(1, 5) }},
		{"nobody had sent", func(s *soak) { s.ledger.BadRequests++ }},
		{"without a fault: the other side's process died", func(s *soak) {
			s.ledger.Callers[0].Failed[-dx.ErrPeerDead.Status]++
		}},
		{"without a fault: not an error of dx", func(s *soak) { s.ledger.Callers[0].Failed[0]++ }},
		{"complained (all of it is in stderr.txt): runtime error", func(s *soak) {
			_, _ = s.errors.WriteString("runtime error\nmore\n")
		}},
	} {
		s := watched(t)
		wrong.do(s)
		err := s.watch()
		said := strings.Join(s.report.Failures, "; ")
		if (err == nil) != (wrong.want == "") || !strings.Contains(said, wrong.want) {
			t.Errorf("want %q, found %v: %q", wrong.want, err, said)
		}
	}
}

func TestBooksThatDisagreeAreFound(t *testing.T) {
	for _, c := range []struct {
		issued, handled, verified uint64
		right                     bool
	}{{3, 2, 1, true}, {3, 3, 3, true}, {3, 1, 2, false}, {1, 2, 1, false}} {
		s := watched(t)
		line := &s.ledger.Callers[3]
		line.Issued, line.Verified = c.issued, c.verified
		for number := range c.handled {
			line.Handle(1, number+1)
		}
		if err := s.checkBooks(); (err == nil) != c.right {
			t.Errorf("%+v: %v, %q", c, err, s.report.Failures)
		}
	}
}

// A region with a slot less than callers is one with a slot that was lost.
func TestMissingSlotIsFound(t *testing.T) {
	const callers = 4
	for _, lang := range []string{"go", "c"} {
		for slots, want := range map[int]int{callers: callers, callers - 1: callers - 1} {
			book, err := ledger.Create(callers)
			if err != nil {
				t.Fatal(err)
			}
			host, guest := pair(t, lang, slots, book)
			if right := host.Slots(); right != want {
				t.Errorf("%s: with %d slots %d are found, want %d", lang, slots, right, want)
			}
			if err := host.Close(); err != nil {
				t.Error(err)
			}
			<-guest
			if err := book.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// pair makes a host in this process, and a guest that ends with it.
func pair(t *testing.T, lang string, slots int, book *ledger.Ledger) (host hostSide, ended <-chan error) {
	t.Helper()
	c := proctest.Config(t, parse)
	url := "file:" + filepath.Join(t.TempDir(), "region")
	var err error
	if lang == "c" {
		wait := libdx.WaitOf(c.wait)
		ch, createErr := cload.Create(url, slots, slots, c.payload, &wait)
		if createErr != nil {
			t.Fatal(createErr)
		}
		host, err = ch.StartSoak(book, 1)
	} else {
		ch, createErr := dx.Create(url, dx.Config{Slots: slots, RequestBytes: c.payload, ResponseBytes: c.payload})
		if createErr != nil {
			t.Fatal(createErr)
		}
		host = startCallers(&role{ledger: book, roleConfig: roleConfig{Life: 1, Callers: len(book.Callers),
			Payload: c.payload}}, ch)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &role{ledger: book, ctx: context.Background(), roleConfig: roleConfig{Role: "guest", URL: url, Life: 1,
		Lang: lang, Payload: c.payload, Wait: c.wait}}
	guest, err := r.attach()
	if err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		err := guest.serve()
		_ = guest.close()
		result <- err
	}()
	return host, result
}
