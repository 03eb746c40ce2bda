// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dx/experiments/internal/progress"
	"dx/experiments/internal/result"
	"dx/experiments/peers/contract"
)

// outcome is one line of faults.jsonl: what a peer did when something went wrong.
type outcome struct {
	Peer  string `json:"peer"`
	Fault string `json:"fault"`
	// Noticed is when the other side said so, by a failed call or by its end; 0: it did not.
	NoticedNs int64  `json:"noticed_ns"`
	How       string `json:"how"` // it was noticed, or what came instead
	GoesOn    string `json:"goes_on"`
	Left      int    `json:"left"`     // files in shared memory and in the folder, more than before
	LeftFDs   int    `json:"left_fds"` // descriptors of the server, more than before
	EnvCommit string `json:"env_commit"`
}

const (
	faultsName = "faults.jsonl"
	// hangs is from when on a call counts as hanging.
	hangs = 10 * time.Second
	// glance is the length of an order by which it is seen whether calls are answered.
	glance = 20 * time.Millisecond
	pause  = 2 * time.Second

	noMemoryName = "no-memory"
)

// fault is something that goes wrong.
type fault struct {
	name, title string
	happen      func(context.Context, *trial)
}

var faults = []fault{
	{"client-killed", "the client is killed amid calls, and another one comes", clientKilled},
	{"server-killed", "the server is killed amid calls, and started again", serverKilled},
	{"server-stopped", "the server is stopped for 2 s amid calls", serverStopped},
	{"second-server", "a second server of the same name is started", secondServer},
	{noMemoryName, "/dev/shm is full when both sides are started", noMemory},
}

func faultNames() (list []string) {
	for _, f := range faults {
		list = append(list, f.name)
	}
	return list
}

// trial is one fault of one peer.
type trial struct {
	m    *measuring
	kind peerKind
	pair *pair
	outcome
}

// one is the visit that faults happen to.
var one = visit{threads: 1, payload: 64}

// tryFaults lets all faults that were asked for happen to all peers.
func tryFaults(ctx context.Context, m *measuring) error {
	m.bar = progress.New("peers: faults", len(m.peers)*len(m.c.faults))
	defer m.bar.Close()
	w, err := result.OpenLog(filepath.Join(m.c.out, faultsName))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, p := range m.peers {
		for _, f := range m.c.faults {
			m.bar.Describe(p.name + ", " + f.name)
			t := trial{m: m, kind: p, outcome: outcome{Peer: p.name, Fault: f.name, EnvCommit: m.commit}}
			if err := t.run(ctx, f); err != nil || ctx.Err() != nil {
				return err
			}
			m.l.faults = append(m.l.faults, t.outcome)
			if err := w.WriteLine(t.outcome); err != nil {
				return err
			}
			m.bar.Add(1)
		}
	}
	return err
}

func (t *trial) run(ctx context.Context, f fault) (err error) {
	if t.pair, err = newPair(t.m.made[t.kind.program], t.kind.way, one, t.m.cpus); err != nil {
		return err
	}
	defer t.pair.kill()
	if f.name == noMemoryName {
		noMemory(ctx, t)
		return nil
	}
	if err = t.pair.startServer(ctx); err == nil {
		err = t.pair.startClient(ctx)
	}
	if err == nil {
		_, err = t.pair.carryOut(ctx, contract.Order{Duration: warmup})
	}
	if err != nil {
		t.How = "it cannot be tried: " + firstLine(err.Error())
		return nil
	}
	f.happen(ctx, t)
	return nil
}

var prefixes = regexp.MustCompile(`^(client: |server: )?(guest: )?(it ended before it was ready: )?(exit status \d+: |the client ended: exit status \d+: )?`)

// firstLine is what a table has of an error.
func firstLine(text string) string {
	const most = 110
	line, _, _ := strings.Cut(text, "\n")
	line = strings.ReplaceAll(prefixes.ReplaceAllString(line, ""), "\t", " ")
	if letters := []rune(line); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return line
}

// kill ends both sides, whatever state they are in.
func (p *pair) kill() {
	for _, s := range []side{p.client, p.server} {
		if s.Process != nil {
			_ = s.Signal(syscall.SIGKILL)
			_ = s.Wait()
		}
	}
	_ = p.stop()
}

// names counts what a pair has in shared memory and in its folder.
func (p *pair) names() int {
	shared, _ := filepath.Glob(filepath.Join("/dev/shm", filepath.Base(p.at)+"*"))
	n := 0
	for _, place := range append(shared, p.at) {
		_ = filepath.WalkDir(place, func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				n++
			}
			return nil
		})
	}
	return n
}

// descriptors counts those of a side; 0 when it has ended.
func (s side) descriptors() int {
	entries, _ := os.ReadDir("/proc/" + strconv.Itoa(s.Cmd.Process.Pid) + "/fd")
	return len(entries)
}

// glanceAt gives a short order, and says what came of it.
func (p *pair) glanceAt(ctx context.Context, limit time.Duration) (r contract.Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return p.order(ctx, contract.Order{Duration: glance}, nil)
}

// untilNoticed gives orders until a call fails, the client ends or a call hangs.
func (t *trial) untilNoticed(ctx context.Context) {
	began := time.Now()
	for time.Since(began) < t.m.c.hangs && ctx.Err() == nil {
		r, err := t.pair.glanceAt(ctx, t.m.c.hangs)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			t.How = fmt.Sprintf("the call hangs, for %v at least", t.m.c.hangs)
			return
		case err != nil:
			t.NoticedNs, t.How = int64(time.Since(began)), "the client ended: "+firstLine(err.Error())
			return
		case r.Errors > 0:
			t.NoticedNs, t.How = int64(time.Since(began)), "a call failed"
			return
		}
	}
	t.How = "not noticed: calls are answered"
}

// untilAnswered says whether calls of the client are answered within the time in which one hangs.
func (t *trial) untilAnswered(ctx context.Context) bool {
	for began := time.Now(); time.Since(began) < t.m.c.hangs && ctx.Err() == nil; {
		r, err := t.pair.glanceAt(ctx, t.m.c.hangs)
		if err != nil {
			return false
		}
		if len(r.Calls) > 0 && r.Calls[0] > 0 {
			return true
		}
	}
	return false
}

func (t *trial) count() (names, descriptors int) { return t.pair.names(), t.pair.server.descriptors() }

func clientKilled(ctx context.Context, t *trial) {
	names, descriptors := t.count()
	_, _ = fmt.Fprintln(t.pair.client, contract.Order{Duration: hangs})
	_ = await(ctx, 5*glance)
	began := time.Now()
	_ = t.pair.client.Signal(syscall.SIGKILL)
	_ = t.pair.client.Wait()
	_ = await(ctx, pause)
	namesAfter, descriptorsAfter := t.count()
	t.Left, t.LeftFDs = namesAfter-names, descriptorsAfter-descriptors
	select {
	case <-t.pair.server.Ended():
		t.NoticedNs, t.How = int64(time.Since(began)), "the server ended"
	default:
		t.How = "the server lives"
	}
	t.GoesOn = "no"
	if err := t.pair.startClient(ctx); err != nil {
		t.How += "; then: " + firstLine(err.Error())
	} else if t.untilAnswered(ctx) {
		t.GoesOn = "yes"
	}
}

func serverKilled(ctx context.Context, t *trial) {
	names, _ := t.count()
	_ = t.pair.server.Signal(syscall.SIGKILL)
	_ = t.pair.server.Wait()
	t.untilNoticed(ctx)
	t.Left = t.pair.names() - names
	t.GoesOn = "no"
	if err := t.pair.startServer(ctx); err != nil {
		t.How += "; then: " + firstLine(err.Error())
		return
	}
	if t.untilAnswered(ctx) {
		t.GoesOn = "yes"
		return
	}
	_ = t.pair.client.Signal(syscall.SIGKILL)
	_ = t.pair.client.Wait()
	if err := t.pair.startClient(ctx); err == nil && t.untilAnswered(ctx) {
		t.GoesOn = "a new client does"
	}
}

func serverStopped(ctx context.Context, t *trial) {
	if err := t.pair.server.Pause(); err != nil {
		t.How = "it cannot be tried: " + firstLine(err.Error())
		return
	}
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = await(ctx, pause)
		_ = t.pair.server.Resume()
	}()
	r, err := t.pair.glanceAt(ctx, t.m.c.hangs)
	took := time.Since(began)
	<-done
	switch {
	case err != nil:
		t.NoticedNs, t.How = int64(took), "the client ended or hangs: "+firstLine(err.Error())
	case r.Errors > 0:
		t.NoticedNs, t.How = int64(took), "a call failed"
	default:
		t.How = "the call waits, and is answered"
	}
	t.GoesOn = yes(t.untilAnswered(ctx))
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func secondServer(ctx context.Context, t *trial) {
	first := t.pair.server
	began := time.Now()
	if err := t.pair.startServer(ctx); err != nil {
		t.NoticedNs, t.How = int64(time.Since(began)), "it is refused: "+firstLine(err.Error())
	} else {
		t.How = "it starts"
	}
	second := t.pair.server
	t.pair.server = first
	t.GoesOn = yes(t.untilAnswered(ctx))
	if second.Process != nil && second.Process != first.Process {
		_ = second.Signal(syscall.SIGKILL)
		_ = second.Wait()
	}
}

// noMemory starts both sides where /dev/shm has a single page, in a mount namespace of their own.
func noMemory(ctx context.Context, t *trial) {
	_, errUnshare := exec.LookPath("unshare")
	_, errEnter := exec.LookPath("nsenter")
	if errUnshare != nil || errEnter != nil || os.Geteuid() != 0 {
		t.How = "it cannot be tried: that takes root, unshare and nsenter"
		return
	}
	t.pair.within = func(what string) []string {
		if what == "server" {
			return []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs -o size=4k tmpfs /dev/shm && exec "$@"`, "sh"}
		}
		return []string{"nsenter", "--target", strconv.Itoa(t.pair.server.Cmd.Process.Pid), "--mount", "--"}
	}
	began := time.Now()
	err := t.pair.startServer(ctx)
	if err == nil {
		err = t.pair.startClient(ctx)
	}
	if err != nil {
		t.NoticedNs, t.How = int64(time.Since(began)), "it does not start: "+firstLine(err.Error())
		return
	}
	switch r, err := t.pair.glanceAt(ctx, t.m.c.hangs); {
	case errors.Is(err, context.DeadlineExceeded):
		t.How = fmt.Sprintf("it starts, and the call hangs, for %v at least", t.m.c.hangs)
	case err != nil:
		t.NoticedNs, t.How = int64(time.Since(began)), "it starts, and ends: "+firstLine(err.Error())
	case r.Errors > 0:
		t.NoticedNs, t.How = int64(time.Since(began)), "it starts, and a call fails"
	default:
		t.How, t.GoesOn = "it needs none of it", "yes"
	}
}

// faultLines has a line for each trial.
func faultLines(l log) []string {
	lines := []string{"peer\tfault\tnoticed after\tgoes on\tfiles left\tdescriptors left\thow\t"}
	for _, o := range l.faults {
		noticed := "-"
		if o.NoticedNs > 0 {
			noticed = result.FormatNs(float64(o.NoticedNs))
		}
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%s\t", o.Peer, o.Fault, noticed, cmp.Or(o.GoesOn, "-"), o.Left, o.LeftFDs, o.How))
	}
	return lines
}

const faultLegend = `Each line: go run ./experiments/peers -peers PEER -faults FAULT. One caller makes calls of 64 B, one after the other. noticed after: until a
call of the client failed or a process ended, to 20 ms; a dash: it was not within 10 s. goes on: whether calls of the client that is there,
or of a new one, were answered within 10 s afterwards without any more help. left: files in shared memory and in the pair's folder, and descriptors of the
server, 2 s after the client's death or at the server's, more than before.
`
