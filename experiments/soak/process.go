// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"dx/experiments/internal/ledger"
	"dx/vm/child"
)

// state is how far a process has come.
type state int

const (
	starting state = iota
	waiting        // stands by
	active         // holds the region
	ended
)

// process is a host or a guest: this program again, started by us and ended by us.
type process struct {
	role, lang string
	life       uint32
	cmd        *exec.Cmd
	commands   io.WriteCloser
	done       chan struct{} // closed when it has ended
	answers    chan uint64   // to what it was asked

	mu       sync.Mutex
	state    state
	waitedNs int64 // when it began to stand by,
	activeNs int64 // when it last got hold of the region,
	noticeNs int64 // when it last noticed that the other side was gone,
	endedNs  int64 // and when we saw its end
	fd       int   // host: the region's descriptor
	exit     error
	failure  string
	hangs    bool // a guest that was told to

	doomed  bool // we are ending it
	told    bool // a host: to create
	samples []sample
}

// start starts a process with a role; errors is where it says what must not be.
func start(r roleConfig, l *ledger.Ledger, errors *os.File) (*process, error) {
	cmd, err := soakRole.Command(r)
	if err != nil {
		return nil, err
	}
	itsCommands, commands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = itsCommands.Close() }()
	events, itsEvents, err := os.Pipe()
	if err != nil {
		_ = commands.Close()
		return nil, err
	}
	defer func() { _ = itsEvents.Close() }()
	p := &process{role: r.Role, lang: r.Lang, life: r.Life, cmd: cmd,
		commands: commands, done: make(chan struct{}), answers: make(chan uint64, 1)}
	// Programs with the race detector would take a second to end.
	p.cmd.Env = append(p.cmd.Env, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	p.cmd.ExtraFiles = []*os.File{l.File()}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = itsCommands, itsEvents, errors
	exited, err := child.Start(p.cmd)
	if err != nil {
		_ = commands.Close()
		_ = events.Close()
		return nil, fmt.Errorf("cannot start a %s: %w", r.Role, err)
	}
	go p.listen(events)
	go func() {
		err := <-exited
		p.mu.Lock()
		p.state, p.endedNs, p.exit = ended, ledger.Now(), err
		p.mu.Unlock()
		_ = commands.Close()
		close(p.done)
	}()
	return p, nil
}

// listen takes note of what the process says: an event, its time, and what belongs to it.
func (p *process) listen(events io.ReadCloser) {
	defer func() { _ = events.Close() }()
	lines := bufio.NewScanner(events)
	for lines.Scan() {
		event, rest, _ := strings.Cut(lines.Text(), " ")
		stamp, detail, _ := strings.Cut(rest, " ")
		ns, _ := strconv.ParseInt(stamp, 10, 64)
		number, _ := strconv.ParseUint(detail, 10, 64)
		p.mu.Lock()
		switch event {
		case "waiting":
			p.enter(waiting)
			p.waitedNs = ns
		case "ready", "attached":
			p.enter(active)
			p.activeNs, p.fd = ns, int(number)
		case "notice":
			p.noticeNs = ns
		case "sample", "slots":
			select {
			case p.answers <- number:
			default: // nobody asks any more
			}
		case "hangs":
			p.hangs = true
		case "error":
			p.failure = detail
		}
		p.mu.Unlock()
	}
}

// enter changes the state of a process that has not ended.
func (p *process) enter(s state) {
	if p.state != ended {
		p.state = s
	}
}

// view is what is known of a process at one moment.
type view struct {
	state                                 state
	waitedNs, activeNs, noticeNs, endedNs int64
	fd                                    int
	exit                                  error
	failure                               string
	hangs                                 bool
}

func (p *process) view() view {
	p.mu.Lock()
	defer p.mu.Unlock()
	return view{p.state, p.waitedNs, p.activeNs, p.noticeNs, p.endedNs, p.fd, p.exit, p.failure, p.hangs}
}

func (p *process) String() string { return fmt.Sprintf("%s %d (%s)", p.role, p.life, p.lang) }

// tell sends a command; one that has ended does not hear it.
func (p *process) tell(command string) { _, _ = io.WriteString(p.commands, command+"\n") }

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }
