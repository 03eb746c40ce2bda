// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"dx/vm/debian"
)

// Start is one `up`.
type Start struct {
	Folder Folder
	Config Config
	// Prepare completes the configuration by what takes time, such as the image, and uses these tools.
	Prepare func(context.Context, *Config) error
	Tools   []string
	// Keeper is a command that calls Keep.
	Keeper   *exec.Cmd
	Progress debian.Progress
	Warn     func(string)
}

// Up brings the guest up, or finds that it is. An end of ctx, and any fault, leaves nothing but the
// logs in its folder.
func (u Start) Up(ctx context.Context) (s State, already bool, err error) {
	if err := u.Config.Check(); err != nil {
		return State{}, false, err
	}
	unlock, err := u.Folder.Lock()
	if err != nil {
		return State{}, false, err
	}
	defer unlock()
	if up, err := u.Folder.clear(ctx); err != nil || up != nil {
		if up != nil {
			s = *up
		}
		return s, up != nil, err
	}
	if err := u.Config.CheckHost(u.Tools...); err != nil {
		return State{}, false, err
	}
	if err := u.Prepare(ctx, &u.Config); err != nil {
		return State{}, false, err
	}
	if err := os.MkdirAll(u.Folder.Path, 0o700); err != nil {
		return State{}, false, err
	}
	s, err = u.run(ctx)
	if err != nil {
		// The keeper has done this unless it was killed.
		if left, loadErr := u.Folder.Load(); loadErr == nil {
			err = errors.Join(err, u.Folder.sweep(left, true))
		}
	}
	return s, false, err
}

// run starts the keeper, and either lets it go on alone or waits until it has ended.
func (u Start) run(ctx context.Context) (State, error) {
	log, err := os.Create(u.Folder.file(keeperLog))
	if err != nil {
		return State{}, err
	}
	defer func() { _ = log.Close() }()
	reports, out, err := os.Pipe()
	if err != nil {
		return State{}, err
	}
	defer func() { _ = reports.Close() }()
	cmd := u.Keeper
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = "/", log, log, []*os.File{out}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	_ = out.Close()
	if err != nil {
		return State{}, fmt.Errorf("keeper: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = in.Close() }) // ends the keeper, and so the reports
	s, err := u.talk(in, reports)
	if err == nil {
		stop()
		return s, nil // its Wait is init's
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	_ = in.Close()
	if process, known := identify(cmd.Process.Pid); known == nil {
		patience, cancel := context.WithTimeout(context.Background(), endWait)
		defer cancel()
		if process.Gone(patience) != nil {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return State{}, err
}

// talk gives the order, follows the start, and lets the keeper go on when all is well.
func (u Start) talk(in io.Writer, reports io.Reader) (s State, err error) {
	if err := json.NewEncoder(in).Encode(order{u.Folder.Path, u.Config}); err != nil {
		return s, fmt.Errorf("keeper: %w", err)
	}
	lines := bufio.NewScanner(reports)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r report
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return s, fmt.Errorf("keeper: %w", err)
		}
		switch {
		case r.Error != "":
			return s, errors.New(r.Error)
		case r.Warning != "":
			u.Warn(r.Warning)
		case r.Step != "":
			u.Progress.Step(r.Step, r.About)
		case r.Ready != nil:
			s = *r.Ready
			if _, err := io.WriteString(in, keepWord+"\n"); err != nil {
				return s, fmt.Errorf("keeper: %w", err)
			}
		case r.Kept:
			return s, nil
		}
	}
	return s, fmt.Errorf("the keeper has ended without a word; see %s", u.Folder.file(keeperLog))
}

// Uptime is how long the guest has been ready.
func (s State) Uptime(now time.Time) time.Duration {
	return now.Sub(s.Since.Add(time.Duration(s.ReadyAfter * float64(time.Second))))
}

// HostURL is where a program on the host finds the region, as libdx names it.
func (s State) HostURL() string {
	if s.Config.Mode == Doorbell {
		return "unix:" + s.Socket
	}
	return "file:" + s.Config.RegionPath
}

// Condition says in a word how the guest is: up, starting or down.
func (f Folder) Condition(s State) string {
	switch {
	case !s.Keeper.Running():
		return "down"
	case s.Phase == PhaseUp:
		return "up"
	}
	return PhaseStarting
}

// Logs are those of a guest, which stay if it did not end as it should.
func (f Folder) Logs() (paths []string) {
	for _, name := range logFiles {
		if _, err := os.Stat(f.file(name)); err == nil {
			paths = append(paths, f.file(name))
		}
	}
	return paths
}
