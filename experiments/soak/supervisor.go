// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/ledger"
	"dx/experiments/internal/peer"
	"dx/experiments/internal/progress"
)

const (
	lookEvery  = 500 * time.Microsecond // at a recovery
	watchEvery = 20 * time.Millisecond  // between faults
	oneAtATime = 1
)

// errFailed ends a run whose failures say why.
var errFailed = errors.New("something was wrong")

// soak is one run: the supervisor of its processes.
type soak struct {
	config
	random        *rand.Rand // of the faults: the same for the same seed, whatever else is chosen
	langs         *rand.Rand
	ledger        *ledger.Ledger
	cpus          affinity.Halves
	url           string
	path          string // what the URL names, which must be gone at the end
	folder        string // of the socket, ours
	errors        *os.File
	events        *eventWriter
	bar           *progress.Bar
	shown         int // per cent on the bar
	described     time.Time
	hosts, guests uint32 // lives of each so far
	mark          uint32
	all           []*process // that have not been forgotten
	began         time.Time
	ends          time.Time // zero: no limit
	stretch       stretch
	progress      []callerProgress
	quiet         ledger.Totals // as of the latest recovery
	report        report
}

// callerProgress is how hangs are found.
type callerProgress struct {
	done uint64
	at   time.Time
}

// newSoak prepares everything but the processes.
func newSoak(c config) (s *soak, err error) {
	s = &soak{config: c, random: rand.New(rand.NewPCG(c.seed, 0)),
		langs: rand.New(rand.NewPCG(c.seed, 1)), began: time.Now()}
	if s.ledger, err = ledger.Create(c.callers); err != nil {
		return nil, err
	}
	if c.pin == "auto" {
		if s.cpus, err = affinity.Split(); err != nil {
			return nil, err
		}
	}
	if err := s.place(); err != nil {
		return nil, err
	}
	if s.errors, err = os.OpenFile(filepath.Join(c.out, "stderr.txt"), os.O_CREATE|os.O_TRUNC|os.O_RDWR|os.O_APPEND, 0o644); err != nil {
		return nil, err
	}
	if s.events, err = newEventWriter(filepath.Join(c.out, "events.jsonl")); err != nil {
		return nil, err
	}
	if c.duration > 0 {
		s.ends = s.began.Add(c.duration)
	}
	s.progress = make([]callerProgress, c.callers)
	s.beginWatch()
	s.beginStretch()
	return s, nil
}

// beginWatch gives every caller the time of a hang from now on.
func (s *soak) beginWatch() {
	for i := range s.progress {
		s.progress[i].at = time.Now()
	}
}

// place chooses the region's URL.
func (s *soak) place() error {
	folder := s.out
	if s.transport == "unix" { // a path to a socket has no room for the results' folder
		var err error
		if s.folder, err = os.MkdirTemp("", "dx-soak-"); err != nil {
			return err
		}
		folder = s.folder
	}
	s.url = peer.URL(s.transport, folder, "soak")
	if _, s.path, _ = strings.Cut(s.url, ":"); s.transport == "shm" {
		s.path = "/dev/shm/" + s.path
	}
	return nil
}

// endAll ends all that is left, by force, and removes what it leaves.
func (s *soak) endAll() {
	for _, p := range s.all {
		p.doomed = true
		p.signal(syscall.SIGKILL)
	}
	for _, p := range s.all {
		<-p.done
	}
	_ = os.Remove(s.path)
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}

// close is for when all processes have ended.
func (s *soak) close() error {
	return errors.Join(s.ledger.Close(), s.errors.Close(), s.events.close())
}

// fail notes what was wrong; the run goes on.
func (s *soak) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.report.Failures = append(s.report.Failures, text)
	if s.bar != nil {
		s.bar.Note("soak: " + text)
	}
}

// launch starts a process.
func (s *soak) launch(role string) (*process, error) {
	lang, cpus, lives := s.host, s.cpus.Host, &s.hosts
	if role == "guest" {
		lang, cpus, lives = s.guest, s.cpus.Guest, &s.guests
	}
	*lives++
	if lang == "mixed" {
		lang = []string{"go", "c"}[s.langs.IntN(2)]
	}
	r := roleConfig{Role: role, Life: *lives, Lang: lang, URL: s.url, Callers: s.callers,
		Payload: s.payload, CPUs: cpus, Procs: max(1, len(cpus)), Wait: s.wait,
		ThroughRestart: s.transport != "unix", WrongAt: s.wrongAt}
	if s.pin == "none" {
		r.Procs = max(1, runtime.NumCPU()/2)
	}
	p, err := start(r, s.ledger, s.errors)
	if err == nil {
		s.all = append(s.all, p)
	}
	return p, err
}

// forget drops processes that have ended because we wanted it.
func (s *soak) forget() {
	var left []*process
	for _, p := range s.all {
		if p.doomed && p.view().state == ended {
			s.judge(p)
		} else {
			left = append(left, p)
		}
	}
	s.all = left
}

// in returns the processes of a role in a state, leaving out those that are being ended.
func (s *soak) in(role string, wanted state) (found []*process) {
	for _, p := range s.all {
		if p.role == role && !p.doomed && p.view().state == wanted {
			found = append(found, p)
		}
	}
	return found
}

// holder is the process that holds the region for a role; nil if there is none.
func (s *soak) holder(role string) *process {
	if found := s.in(role, active); len(found) == oneAtATime {
		return found[0]
	}
	return nil
}

// await looks until ready says so, for the time of a hang.
func (s *soak) await(ctx context.Context, what string, ready func() bool) error {
	for began := time.Now(); !ready(); time.Sleep(lookEvery) {
		if err := s.lookForDeath(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > s.hang {
			s.fail("%s: not within %v%s", what, s.hang, s.standings())
			s.explainHang()
			return errFailed
		}
	}
	return nil
}

// standings says what everybody is doing, for a failure.
func (s *soak) standings() string {
	var text strings.Builder
	for _, p := range s.all {
		v := p.view()
		fmt.Fprintf(&text, "; %v is %s", p,
			[]string{"starting", "waiting", "active", "ended"}[v.state])
	}
	return text.String()
}

// begin starts both sides and waits for verified calls.
func (s *soak) begin(ctx context.Context) error {
	for _, role := range []string{"host", "guest"} {
		if err := s.replace(role); err != nil {
			return err
		}
		if role == "host" {
			s.goHost()
		}
		err := s.await(ctx, "the first "+role, func() bool { return s.holder(role) != nil })
		if err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

// replace starts a process of a role.
func (s *soak) replace(role string) error {
	_, err := s.launch(role)
	return err
}

// goHost gives a host that stands by the word, if the one before is gone.
func (s *soak) goHost() {
	for _, p := range s.all {
		if p.role == "host" && !p.doomed && !p.told {
			p.told = true
			p.tell("go")
			return
		}
	}
}

// settle waits until both sides are there, those who stand by as well, and every caller has made
// a verified call with them.
func (s *soak) settle(ctx context.Context) error {
	for _, role := range []string{"host", "guest"} {
		want := 1
		if s.standby {
			want = 2
		}
		for s.count(role) < want {
			if err := s.replace(role); err != nil {
				return err
			}
		}
	}
	s.setMark()
	err := s.await(ctx, "both sides and verified calls of all callers", func() bool {
		host, guest := s.holder("host"), s.holder("guest")
		return host != nil && guest != nil && s.allMarked() &&
			(!s.standby || len(s.in("host", waiting)) == 1 && len(s.in("guest", waiting)) == 1)
	})
	s.quiet = s.ledger.Sum()
	return err
}

// count is how many processes of a role there are or will be.
func (s *soak) count(role string) (n int) {
	for _, p := range s.all {
		if p.role == role && !p.doomed && p.view().state != ended {
			n++
		}
	}
	return n
}

// terminate ends a process in good order.
func (s *soak) terminate(p *process) error {
	p.doomed = true
	p.signal(syscall.SIGTERM)
	return s.awaitEnd(p)
}

// awaitEnd waits for a process that was told to end.
func (s *soak) awaitEnd(p *process) error {
	select {
	case <-p.done:
	case <-time.After(s.hang):
		s.fail("%v did not end within %v of SIGTERM", p, s.hang)
		s.explainHang()
		return errFailed
	}
	if err := p.view().exit; err != nil {
		s.fail("%v was told to end and ended badly: %v", p, err)
		return errFailed
	}
	return nil
}
