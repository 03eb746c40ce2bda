// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/peer"
	"dx/experiments/peers/contract"
	"dx/vm/child"
)

// patience is how much longer than it should an order or an end may take before a peer counts as hung.
const patience = time.Minute

// cpus says on which CPUs each side runs.
type cpus struct {
	affinity.Halves
	pinned bool
}

func choose(pin string) (cpus, error) {
	halves, err := affinity.Split()
	return cpus{halves, pin != "none"}, err
}

func (c cpus) String() string {
	if !c.pinned {
		return "none"
	}
	return c.Halves.String()
}

// of are those of a side.
func (c cpus) of(side []int) []int {
	if !c.pinned {
		return nil
	}
	return side
}

// pair is a server and its client.
type pair struct {
	at             string // their folder
	server, client side
	command        []string
	way            string
	v              visit
	cpus           cpus
	// within, if it is set, is what a command is put behind, such as one that changes namespaces.
	within func(what string) []string
}

// side is one process of a pair.
type side struct {
	peer.Beside
	complaint *tail
}

// tail keeps the end of what a process complains of.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	const kept = 4 << 10
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.text)) }

// cannot is an error of a peer that cannot do what is asked for.
type cannot struct{ why string }

func (c cannot) Error() string { return c.why }

// newPair has a folder, and no process yet.
func newPair(command []string, way string, v visit, c cpus) (*pair, error) {
	at, err := os.MkdirTemp("", "dx-peers-")
	return &pair{at: at, command: command, way: way, v: v, cpus: c}, err
}

// startPair starts both sides. Its error may be a cannot.
func startPair(ctx context.Context, command []string, way string, v visit, c cpus) (*pair, error) {
	p, err := newPair(command, way, v, c)
	if err != nil {
		return nil, err
	}
	if err = p.startServer(ctx); err == nil {
		err = p.startClient(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// startServer starts a server; if that fails the one before stays.
func (p *pair) startServer(ctx context.Context) (err error) {
	return p.start(ctx, "server", p.cpus.Guest, &p.server)
}

func (p *pair) startClient(ctx context.Context) (err error) {
	return p.start(ctx, "client", p.cpus.Host, &p.client)
}

func (p *pair) start(ctx context.Context, what string, on []int, to *side) error {
	var words []string
	if p.within != nil {
		words = p.within(what)
	}
	words = append(append(words, p.command...), what, "-way", p.way, "-at", p.at, "-payload", strconv.Itoa(p.v.payload),
		"-callers", strconv.Itoa(p.v.threads))
	cmd := exec.Command(words[0], words[1:]...)
	complaint := &tail{}
	cmd.Stderr = complaint
	started, err := child.StartReadyOn(ctx, cmd, p.cpus.of(on))
	if err != nil {
		return explain(cmd, complaint, fmt.Errorf("%s: %w", what, err))
	}
	*to = side{peer.Beside{Process: started}, complaint}
	return nil
}

// explain adds what a process that has ended complained of.
func explain(cmd *exec.Cmd, complaint *tail, err error) error {
	said := complaint.String()
	switch {
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == contract.CodeCannot:
		return cannot{said}
	case said != "":
		return fmt.Errorf("%w: %s", err, lastLine(said))
	}
	return err
}

// carryOut lets the client make calls.
func (p *pair) carryOut(ctx context.Context, o contract.Order) (contract.Report, error) {
	return p.order(ctx, o, p.server.Ended())
}

// order is carryOut that gives up when the server has ended, of which serverEnded tells.
func (p *pair) order(ctx context.Context, o contract.Order, serverEnded <-chan struct{}) (r contract.Report, err error) {
	if _, err := fmt.Fprintln(p.client, o); err != nil {
		return r, p.ended(err)
	}
	select {
	case line := <-p.client.Lines():
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return r, fmt.Errorf("the client's report: %w", err)
		}
		return r, nil
	case <-p.client.Ended():
		return r, p.ended(errors.New("the client ended"))
	case <-serverEnded:
		return r, p.ended(errors.New("the server ended"))
	case <-ctx.Done():
		return r, ctx.Err()
	case <-time.After(2*o.Duration + patience):
		return r, p.ended(fmt.Errorf("calls hang: no report %v after an order of %v", 2*o.Duration+patience, o.Duration))
	}
}

// ended adds what both have complained of.
func (p *pair) ended(err error) error {
	for _, s := range []side{p.client, p.server} {
		select {
		case <-s.Ended():
			err = explain(s.Cmd, s.complaint, err)
		default:
		}
	}
	return err
}

// pause stops both sides.
func (p *pair) pause() error { return errors.Join(p.client.Pause(), p.server.Pause()) }

func (p *pair) resume() error { return errors.Join(p.server.Resume(), p.client.Resume()) }

// cpuTime is what both have used.
func (p *pair) cpuTime() (time.Duration, error) {
	client, errClient := p.client.CPUTime()
	server, errServer := p.server.CPUTime()
	return client + server, errors.Join(errClient, errServer)
}

// stop ends both, and removes what they may have left.
func (p *pair) stop() (err error) {
	for _, s := range []side{p.client, p.server} {
		if s.Process == nil {
			continue
		}
		_ = s.Signal(syscall.SIGCONT) // in case it is stopped
		_ = s.CloseInput()
		select {
		case <-s.Ended():
			if endErr := s.Wait(); endErr != nil {
				err = errors.Join(err, explain(s.Cmd, s.complaint, endErr))
			}
		case <-time.After(patience):
			_ = s.Signal(syscall.SIGKILL)
			_ = s.Wait()
			err = errors.Join(err, fmt.Errorf("it did not end within %v", patience))
		}
	}
	left, globErr := filepath.Glob(filepath.Join("/dev/shm", filepath.Base(p.at)+"*"))
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return errors.Join(err, globErr, os.RemoveAll(p.at))
}
