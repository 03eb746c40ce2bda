// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"dx/vm/child"
)

// Run is one program of the host's that runs in the guest.
type Run struct {
	Folder  Folder
	Program string // a file here; static, or linked against what Debian 12 has
	Args    []string
	Root    bool // run it by sudo
	TTY     bool // give it a terminal
	// What the program reads and writes. Files are handed on as they are.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Copied is told how many bytes of how many the guest has.
	Copied func(done, total int64)
}

// sshFailed is what ssh returns if itself has failed. Programs that return it cannot be told apart.
const sshFailed = 255

// Do copies the program into the guest, runs it, and returns its exit code: 128 and the signal if
// one ended it. If ctx ends, the program's whole process group gets a SIGTERM, and the error is
// ctx's. The copy is removed at the end.
func (r Run) Do(ctx context.Context) (code int, err error) {
	path, err := r.copy(ctx)
	if err != nil {
		return 0, fmt.Errorf("copying %s to the guest: %w", r.Program, err)
	}
	defer r.remove(path)
	words := append([]string{path}, r.Args...)
	if r.Root {
		words = append([]string{"sudo", "-n", "--"}, words...)
	}
	args := r.Folder.SSHArgs(sessionScript(path, words))
	if r.TTY {
		args = append([]string{args[0], "-t"}, args[1:]...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r.Stdin, r.Stdout, r.Stderr
	err = wait(ctx, cmd, r.TTY)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	if code == sshFailed || code < 0 {
		if _, down := r.Folder.Up(); down != nil {
			return 0, fmt.Errorf("the guest ended while %s ran in it", r.Program)
		}
	}
	return code, err
}

// sessionScript is what the shell of ssh's session runs. That shell leads the process group: $$ is
// what remove kills if we are interrupted. It stays until the program has ended and tells a signal
// by its own exit code. The last command of a script is one that bash does not stay for: it becomes
// that program, whose signal then ends the session, which ssh reports as 255.
func sessionScript(path string, words []string) string {
	return "echo $$ >" + path + ".pid; " + Quote(words) + "; exit $?"
}

// wait runs cmd until it ends or ctx does. With a terminal it stays in our process group, the
// foreground, or it could not read from it.
func wait(ctx context.Context, cmd *exec.Cmd, foreground bool) error {
	exited := make(<-chan error)
	var err error
	if foreground {
		ended := make(chan error, 1)
		if err = cmd.Start(); err == nil {
			go func() { ended <- cmd.Wait() }()
		}
		exited = ended
	} else {
		exited, err = child.Start(cmd)
	}
	if err != nil {
		return err
	}
	select {
	case err = <-exited:
		return err
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-exited
		return ctx.Err()
	}
}

// copy makes an executable file in the guest and returns its path there.
func (r Run) copy(ctx context.Context) (string, error) {
	f, err := os.Open(r.Program)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	s, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !s.Mode().IsRegular() {
		return "", errors.New("is no regular file")
	}
	script := fmt.Sprintf(`set -e; f=$(mktemp /tmp/dx-run-XXXXXXXX); cat >"$f"; `+
		`[ "$(stat -c %%s "$f")" = %d ] || { rm -f "$f"; exit 1; }; chmod 700 "$f"; echo "$f"`, s.Size())
	args := r.Folder.SSHArgs(script)
	cmd := exec.Command(args[0], args[1:]...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &copied{from: f, total: s.Size(), tell: r.Copied}, &out, &complaint
	if err := wait(ctx, cmd, false); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(complaint.String()))
	}
	path := strings.TrimSpace(out.String())
	if !strings.HasPrefix(path, "/tmp/dx-run-") || strings.ContainsAny(path, " \n'\"$") {
		return "", fmt.Errorf("the guest says %q", path)
	}
	return path, nil
}

// remove removes the copy, and ends what still runs of it.
func (r Run) remove(path string) {
	ctx, cancel := context.WithTimeout(context.Background(), endWait)
	defer cancel()
	sudo := ""
	if r.Root {
		sudo = "sudo -n "
	}
	args := r.Folder.SSHArgs(fmt.Sprintf("p=$(cat %[1]s.pid 2>/dev/null) && %[2]skill -TERM -- -$p 2>/dev/null; rm -f %[1]s %[1]s.pid",
		path, sudo))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	_ = cmd.Run() // a guest that has ended has no copy either
}

// copied tells how much of a file has been read.
type copied struct {
	from        io.Reader
	done, total int64
	tell        func(done, total int64)
	told        time.Time
}

func (c *copied) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.done += int64(n)
	if c.tell != nil && time.Since(c.told) > 200*time.Millisecond {
		c.told = time.Now()
		c.tell(c.done, c.total)
	}
	return n, err
}
