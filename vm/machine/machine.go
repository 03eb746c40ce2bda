// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/vm/child"
)

// lineBytesMax is the longest line that is read from a guest; one that writes a longer one is not
// listened to any more.
const lineBytesMax = 1 << 20

// ErrMissing means that there is no QEMU; the error's text says what to install.
var ErrMissing = errors.New("no QEMU")

// Machine is a running QEMU. Its methods may be called from any goroutine.
type Machine struct {
	cmd     *exec.Cmd
	console *tail
	errors  *tail // what QEMU itself says
	signal  *os.File
	lines   chan string
	ended   chan struct{} // closed when QEMU has been waited for and all that it said was read
	err     error         // how it ended; valid then
	sending sync.Mutex
}

// Start starts QEMU and returns at once: the guest boots meanwhile. What is wrong with c is an
// error here; what QEMU itself refuses is the error of Await and Err.
func Start(c Config) (*Machine, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("machine %s: %w", c.Name, err)
	}
	path, err := c.Arch.lookUp()
	if err != nil {
		return nil, err
	}
	console, itsConsole, err := socketPair("console")
	if err != nil {
		return nil, err
	}
	defer func() { _ = itsConsole.Close() }()
	signal, itsSignal, err := socketPair("signal")
	if err != nil {
		_ = console.Close()
		return nil, err
	}
	defer func() { _ = itsSignal.Close() }()
	m := &Machine{cmd: exec.Command(path, c.args()...), console: newTail(c.Console), errors: newTail(nil),
		signal: signal, lines: make(chan string, 64), ended: make(chan struct{})}
	m.cmd.Stderr = m.errors
	m.cmd.ExtraFiles = []*os.File{itsConsole, itsSignal} // consoleFD, signalFD
	if c.InitrdFile != nil {
		m.cmd.ExtraFiles = append(m.cmd.ExtraFiles, c.InitrdFile) // initrdFD
	}
	exited, err := child.StartOn(m.cmd, c.Pin)
	if err != nil {
		_ = console.Close()
		_ = signal.Close()
		return nil, fmt.Errorf("machine %s: %w", c.Name, err)
	}
	go m.watch(exited, console)
	return m, nil
}

// socketPair returns our end of a line, which the runtime polls, and QEMU's.
func socketPair(name string) (ours, its *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), "guest's "+name), nil
}

// watch reads both lines until QEMU has gone.
func (m *Machine) watch(exited <-chan error, console *os.File) {
	consoleRead := make(chan struct{})
	go func() {
		_, _ = io.Copy(m.console, console)
		_ = console.Close()
		close(consoleRead)
	}()
	go m.readLines()
	err := <-exited
	<-consoleRead
	m.err = m.explain(err)
	close(m.ended)
}

// readLines hands on what the guest says on the signal line. Whoever does not read Lines makes the
// guest wait in its writes, as a full pipe would; the last lines wait for a reader, or for Kill.
func (m *Machine) readLines() {
	scanner := bufio.NewScanner(m.signal)
	scanner.Buffer(nil, lineBytesMax)
	for scanner.Scan() {
		m.lines <- strings.TrimSuffix(scanner.Text(), "\r")
	}
	close(m.lines)
	_ = m.signal.Close()
}

// explain makes an error of QEMU's end that says what QEMU and the guest last said.
func (m *Machine) explain(exit error) error {
	text := "QEMU has ended"
	if exit != nil {
		text += ": " + exit.Error()
	}
	if said := m.errors.String(); said != "" {
		text += ": " + said
	}
	if said := m.console.String(); said != "" {
		text += "; the guest's console ended with:\n" + said
	}
	return errors.New(text)
}

// Lines brings what the guest writes to Arch.Signal, line by line, and is closed when QEMU ends. There is
// one reader: this channel or Await.
func (m *Machine) Lines() <-chan string { return m.lines }

// Await waits until the guest writes this line to Arch.Signal; others are passed over.
func (m *Machine) Await(ctx context.Context, line string) error {
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the guest has not said %q: %w; its console ended with:\n%s", line, ctx.Err(),
				m.console)
		case said, open := <-m.lines:
			if !open {
				<-m.ended
				return fmt.Errorf("the guest has not said %q: %w", line, m.err)
			}
			if said == line {
				return nil
			}
		}
	}
}

// Send writes a line that the guest reads from Arch.Signal.
func (m *Machine) Send(line string) error {
	m.sending.Lock()
	defer m.sending.Unlock()
	_, err := io.WriteString(m.signal, line+"\n")
	return err
}

// Console returns the last of what the guest said on Arch.Console.
func (m *Machine) Console() string { return m.console.String() }

// PID is QEMU's process.
func (m *Machine) PID() int { return m.cmd.Process.Pid }

// Ended is closed when QEMU has gone; Err then says how it ended, in words: also a guest that
// powered itself off has ended.
func (m *Machine) Ended() <-chan struct{} { return m.ended }

// Err is nil while QEMU runs.
func (m *Machine) Err() error {
	select {
	case <-m.ended:
		return m.err
	default:
		return nil
	}
}

// Kill ends QEMU at once, as pulling the plug does, and returns when it has gone and nothing of it
// is left. Call it in the end in any case: it may be called again, and after QEMU has ended by itself.
func (m *Machine) Kill() {
	_ = m.cmd.Process.Kill()
	for range m.lines { // nobody else need read them now
	}
	<-m.ended
}

// Wait gives a guest that is powering itself off the time until ctx ends, and then kills it, which
// is an error.
func (m *Machine) Wait(ctx context.Context) error {
	defer m.Kill()
	for lines := m.lines; ; {
		select {
		case <-m.ended:
			return nil
		case _, open := <-lines:
			if !open {
				lines = nil
			}
		case <-ctx.Done():
			return fmt.Errorf("the guest did not power itself off: %w; QEMU was killed", ctx.Err())
		}
	}
}

// Pause stops all of QEMU's threads, and with them the guest, and returns when they have stopped.
// The guest's clock goes on.
func (m *Machine) Pause() error {
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("pausing QEMU: %w", err)
	}
	for {
		// WNOWAIT leaves an exit to be seen by Wait.
		err := unix.Waitid(unix.P_PID, m.PID(), nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Resume undoes Pause.
func (m *Machine) Resume() error { return m.cmd.Process.Signal(syscall.SIGCONT) }

// CPUTime is what QEMU, and by it the guest, has used until now.
func (m *Machine) CPUTime() (time.Duration, error) {
	clock := int32(^m.PID()<<3 | 2) // as clock_getcpuclockid makes it of another process
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("CPU time of QEMU: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
