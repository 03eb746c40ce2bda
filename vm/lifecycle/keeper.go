// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"dx/vm/child"
	"dx/vm/debian"
	"dx/vm/machine"
)

// order is what a keeper is told on its standard input. A line keepWord then lets it go on alone;
// an end of the input before that ends it.
type order struct {
	Folder string `json:"folder"`
	Config Config `json:"config"`
}

const keepWord = "keep"

// report is one line of what a keeper tells on reportFD.
type report struct {
	Step    string        `json:"step,omitempty"`
	About   time.Duration `json:"about_ns,omitempty"`
	Warning string        `json:"warning,omitempty"`
	Error   string        `json:"error,omitempty"`
	Ready   *State        `json:"ready,omitempty"`
	Kept    bool          `json:"kept,omitempty"`
}

const reportFD = 3

// errInterrupted is an end of `up` before the guest was ready, which is no fault to look into.
var errInterrupted = errors.New("up was interrupted")

// keeper is the process that owns a guest.
type keeper struct {
	folder  Folder
	state   State
	reports *json.Encoder
	log     io.Writer
	console *os.File
	region  *os.File

	machine *machine.Machine
	server  *exec.Cmd
	ended   []<-chan error // of the processes beside QEMU
	killers []func()
}

// Keep is the life of a keeper: the process that Start started for it. It returns an exit code.
func Keep() int {
	// QEMU and ssh must not inherit it: `up` waits for its end.
	syscall.CloseOnExec(reportFD)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	signal.Ignore(syscall.SIGHUP)
	reports := os.NewFile(reportFD, "reports")
	k := &keeper{reports: json.NewEncoder(reports), log: os.Stderr}
	input := bufio.NewReader(os.Stdin)
	var o order
	line, err := input.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o)
	}
	if err != nil {
		fmt.Fprintln(k.log, "keeper: no order:", err)
		return 2
	}
	k.folder = Folder{o.Folder}
	starting, abort := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		if line, _ := input.ReadString('\n'); strings.TrimSpace(line) == keepWord {
			close(kept)
			return
		}
		abort(errInterrupted)
	}()
	err = k.bringUp(starting, o.Config)
	if err == nil {
		select {
		case <-kept:
		case <-k.machine.Ended():
			err = k.machine.Err()
		case <-starting.Done():
			err = context.Cause(starting)
		}
	}
	if err == nil {
		err = k.stay(ctx, reports)
	}
	return k.end(err)
}

// bringUp does all that a start takes, until one can log in.
func (k *keeper) bringUp(ctx context.Context, c Config) error {
	self, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	k.state = State{Phase: PhaseStarting, Config: c, Keeper: self, Since: time.Now().UTC(), Socket: c.Socket}
	if err := k.save(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Ready,
		fmt.Errorf("the guest was not ready within %v (-timeout)", c.Ready))
	defer cancel()
	err = k.start(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return err
}

func (k *keeper) start(ctx context.Context) error {
	k.tell(report{Step: "making keys, seed, overlay and region", About: time.Second})
	c := k.state.Config
	if err := k.folder.makeKeys(ctx); err != nil {
		return err
	}
	seed, err := k.folder.seed(c, fmt.Sprint(k.state.Since.UnixNano()))
	if err != nil {
		return err
	}
	if err := seed.Write(ctx, k.folder.file(seedFile)); err != nil {
		return err
	}
	if err := c.Image.Overlay(ctx, k.folder.file(overlayFile), c.DiskBytes); err != nil {
		return err
	}
	region, err := k.makeRegion(ctx)
	if err != nil {
		return err
	}
	if k.console, err = os.Create(k.folder.file(consoleLog)); err != nil {
		return err
	}
	about := 40 * time.Second
	if !c.Image.Built {
		about = 2 * time.Minute
	}
	k.tell(report{Step: "booting Debian", About: about})
	if err := k.boot(ctx, region); err != nil {
		return err
	}
	k.tell(report{Step: "logging in", About: 2 * time.Second})
	kill, exited, err := k.folder.connect(ctx)
	if err != nil {
		return err
	}
	k.killers = append(k.killers, kill)
	k.ended = append(k.ended, exited)
	k.state.ReadyAfter = time.Since(k.state.Since).Seconds()
	k.tell(report{Ready: &k.state})
	return nil
}

// makeRegion makes the file of plain mode, or starts the server of doorbell mode.
func (k *keeper) makeRegion(ctx context.Context) (machine.Region, error) {
	c := k.state.Config
	if c.Mode == Plain {
		k.state.Region = RegionFile{Path: c.RegionPath,
			Making: fmt.Sprintf("%s.%d-%d", c.RegionPath, k.state.Keeper.PID, k.state.Keeper.Start)}
		region, err := k.state.Region.make(c.RegionBytes, k.save)
		if err == nil { // held open so that no other file gets its inode
			k.region, err = os.Open(c.RegionPath)
		}
		return region, err
	}
	if c.Socket == "" {
		k.state.Socket = k.folder.file(serverFile)
		if err := k.startServer(ctx); err != nil {
			return machine.Region{}, err
		}
	}
	return machine.Region{Socket: k.state.Socket, Vectors: c.Vectors}, nil
}

// startServer starts dx rendezvous and waits until it serves.
func (k *keeper) startServer(ctx context.Context) error {
	c := k.state.Config
	cmd := exec.Command(c.DXTool, "rendezvous", "-bytes", fmt.Sprint(c.RegionBytes), "-vectors", fmt.Sprint(c.Vectors),
		k.state.Socket)
	said, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }()
	cmd.Stdout, cmd.Stderr = out, k.log
	exited, err := child.Start(cmd)
	_ = out.Close()
	if err != nil {
		return fmt.Errorf("ivshmem server: %w", err)
	}
	k.ended = append(k.ended, exited)
	k.killers = append(k.killers, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	ready := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(said).ReadString('\n')
		if strings.TrimSpace(line) == "ready" {
			err = nil
		}
		ready <- err
	}()
	select {
	case err = <-ready:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("ivshmem server %s did not start: %w; see %s", c.DXTool, err, k.folder.file(keeperLog))
	}
	return nil
}

// portTries bounds the starts that fail because somebody took the port that was free a moment ago.
const portTries = 5

// boot starts QEMU and waits until the guest says that it is ready.
func (k *keeper) boot(ctx context.Context, region machine.Region) error {
	for try := 1; ; try++ {
		port := k.state.Config.SSHPort
		if port == 0 {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			port = l.Addr().(*net.TCPAddr).Port
			_ = l.Close()
		}
		err := k.bootAt(ctx, region, port)
		if err == nil || try == portTries || port == k.state.Config.SSHPort ||
			!strings.Contains(err.Error(), "host forwarding") {
			return err
		}
		k.machine.Kill()
	}
}

func (k *keeper) bootAt(ctx context.Context, region machine.Region, port int) (err error) {
	k.state.SSHPort = port
	if err := k.folder.writeSSH(port); err != nil {
		return err
	}
	if k.machine, err = machine.Start(k.machineConfig(region, port)); err != nil {
		return err
	}
	if k.state.QEMU, err = identify(k.machine.PID()); err != nil {
		// It may have ended already; then that says more.
		if ended := k.awaitReady(ctx); ended != nil {
			err = ended
		}
		return err
	}
	if err := k.save(); err != nil {
		return err
	}
	return k.awaitReady(ctx)
}

func (k *keeper) machineConfig(region machine.Region, port int) machine.Config {
	c := k.state.Config
	m := machine.Config{Name: "dx-vm-" + c.Name, Arch: machine.X8664, Accel: c.Accel, CPUs: c.CPUs, MemoryMiB: c.MemoryMiB,
		Disks: []machine.Disk{{Path: k.folder.file(overlayFile), Format: "qcow2"},
			{Path: k.folder.file(seedFile), Format: "raw", ReadOnly: true}},
		Forwards: []machine.Forward{{HostPort: port, GuestPort: 22}}, Region: region, Pin: c.Pin,
		IOMMU: c.Mode == Doorbell, Console: k.console}
	if c.Image.Kernel != "" {
		m.Kernel, m.Initrd = c.Image.Kernel, c.Image.Initrd
		m.Append = strings.TrimSpace("console=ttyS0 quiet panic=-1 net.ifnames=1 intel_iommu=on " +
			c.Accel.KernelArgs(m.Arch))
	}
	return m
}

// awaitReady reads the line that only the guest can write.
func (k *keeper) awaitReady(ctx context.Context) error {
	for {
		select {
		case line, open := <-k.machine.Lines():
			switch {
			case !open:
				<-k.machine.Ended()
				return k.machine.Err()
			case line == debian.Incomplete:
				k.tell(report{Warning: "the guest could not install " + strings.Join(k.state.Config.Image.Packages(), ", ")})
				return nil
			case line == debian.Ready:
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("the guest has not said that it is ready; its console ended with:\n%s", k.machine.Console())
		}
	}
}

// stay keeps the guest until it ends or is to end. `up` is told, and forgotten.
func (k *keeper) stay(ctx context.Context, reports io.Closer) error {
	k.state.Phase = PhaseUp
	if err := k.save(); err != nil {
		return err
	}
	k.tell(report{Kept: true})
	_ = reports.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.machine.Lines():
		case <-k.machine.Ended():
			return k.machine.Err()
		}
	}
}

// end leaves nothing of the guest; the logs stay if it did not end as it should.
func (k *keeper) end(why error) int {
	if k.state.Phase == PhaseUp {
		k.state.Phase = PhaseStarting // nobody shall take it for one that is up
		_ = k.save()
	}
	if k.machine != nil {
		k.machine.Kill()
	}
	for _, kill := range k.killers {
		kill()
	}
	for _, exited := range k.ended {
		<-exited
	}
	if why != nil {
		fmt.Fprintln(k.log, "keeper:", why)
	}
	keepLogs := why != nil && !errors.Is(why, errInterrupted)
	if err := k.folder.sweep(k.state, keepLogs); err != nil {
		fmt.Fprintln(k.log, "keeper:", err)
		why = errors.Join(why, err)
	}
	if why == nil {
		return 0
	}
	if keepLogs {
		why = fmt.Errorf("%w\nall that it said: %s and %s there", why, k.folder.file(consoleLog), keeperLog)
	}
	k.tell(report{Error: why.Error()})
	return 1
}

func (k *keeper) save() error { return k.folder.save(k.state) }

// tell tells `up`, which may have gone: then nobody needs to know.
func (k *keeper) tell(r report) { _ = k.reports.Encode(r) }
