// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dx/vm/machine"
)

// Init makes this process the init of a quick guest if that is what it was started as, and then does
// not return; else it does nothing. A program that calls Boot calls it first thing in main, and in
// the TestMain of its tests.
func Init() {
	if os.Getpid() != 1 || os.Getenv(initEnv) == "" {
		return
	}
	if err := initRun(); err != nil {
		fmt.Fprintln(os.Stderr, "init:", err) // the console
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	os.Exit(1) // the kernel panics, and QEMU ends
}

func initRun() error {
	_ = os.Unsetenv(initEnv)
	for _, m := range []struct{ kind, place string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/dev/shm"}, {"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.place, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.place, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.place, err)
		}
	}
	if err := onlineCPUs(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	tty, err := openRaw("/dev/" + machine.HostArch().Signal())
	if err != nil {
		return err
	}
	a := &agent{to: json.NewEncoder(tty), running: map[int]running{}}
	a.tell(news{Ready: true})
	return a.obey(tty)
}

// onlineCPUs starts the CPUs that the boot has left out. For one that runs it does nothing.
func onlineCPUs() error {
	files, err := filepath.Glob(machine.OnlineCPUs)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.WriteFile(file, []byte("1"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func loadModules() error {
	files, err := filepath.Glob(modulesDir + "/*.ko") // named by their order
	if err != nil {
		return err
	}
	slices.Sort(files)
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		_ = f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("loading %s: %w", file, err)
		}
	}
	return nil
}

// openRaw opens a serial line on which every byte is passed on as it is.
func openRaw(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return f, unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t)
}

// agent runs commands for the host.
type agent struct {
	mu      sync.Mutex
	to      *json.Encoder
	running map[int]running
}

type running struct {
	process *os.Process
	input   *os.File
}

func (a *agent) tell(n news) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.to.Encode(n) // if the host is gone, so are we
}

// obey returns when it is told to power off.
func (a *agent) obey(tty *os.File) error {
	orders := bufio.NewScanner(tty)
	orders.Buffer(nil, 1<<20)
	for orders.Scan() {
		var o order
		if err := json.Unmarshal(orders.Bytes(), &o); err != nil {
			return fmt.Errorf("an order %q: %w", orders.Text(), err)
		}
		switch {
		case o.Off:
			return nil
		case o.Kill != 0:
			a.kill(o.ID, syscall.Signal(o.Kill))
		case len(o.In) > 0:
			a.feed(o.ID, o.In)
		case len(o.Run) > 0:
			a.run(o)
		}
	}
	return orders.Err()
}

func (a *agent) kill(id int, with syscall.Signal) {
	a.mu.Lock()
	if r, is := a.running[id]; is {
		_ = r.process.Signal(with)
		for stopping := with == unix.SIGSTOP; stopping; {
			// WNOWAIT leaves an exit to be seen by Wait.
			err := unix.Waitid(unix.P_PID, r.process.Pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil)
			stopping = errors.Is(err, unix.EINTR)
		}
	}
	a.mu.Unlock()
	a.tell(news{ID: id, Sent: true})
}

// feed writes to a command's standard input, which has a second to make room.
func (a *agent) feed(id int, text []byte) {
	a.mu.Lock()
	r, is := a.running[id]
	a.mu.Unlock()
	if is {
		_ = r.input.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = r.input.Write(text)
	}
}

// run starts a command; its output and its end are told as they come.
func (a *agent) run(o order) {
	cmd := exec.Command(o.Run[0], o.Run[1:]...)
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.Dir = "/tmp"
	cmd.Stdout = pipe(func(p []byte) { a.tell(news{ID: o.ID, Out: p}) })
	cmd.Stderr = pipe(func(p []byte) { a.tell(news{ID: o.ID, Err: p}) })
	from, input, err := os.Pipe()
	if err == nil {
		cmd.Stdin = from
		err = cmd.Start()
		_ = from.Close()
	}
	if err != nil {
		_ = input.Close()
		a.tell(news{ID: o.ID, Ended: true, Fail: err.Error()})
		return
	}
	a.mu.Lock()
	a.running[o.ID] = running{cmd.Process, input}
	a.mu.Unlock()
	go func() {
		err := cmd.Wait()
		_ = input.Close()
		a.mu.Lock()
		delete(a.running, o.ID)
		a.mu.Unlock()
		end := news{ID: o.ID, Ended: true}
		if err != nil {
			end.Fail = err.Error()
		}
		a.tell(end)
	}()
}

// pipe is a function as a Writer.
type pipe func(p []byte)

func (f pipe) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}
