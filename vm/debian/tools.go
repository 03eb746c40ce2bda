// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"dx/vm/child"
)

// packageOf says in which of Debian's packages a tool is.
var packageOf = map[string]string{
	"qemu-img": "qemu-utils", "genisoimage": "genisoimage", "mmdebstrap": "mmdebstrap",
	"mke2fs": "e2fsprogs", "tar": "tar", "unshare": "util-linux", "ssh": "openssh-client",
	"ssh-keygen": "openssh-client", "qemu-system-x86_64": "qemu-system-x86", "newuidmap": "uidmap",
}

// Need says which of these tools are missing, and what to install; nil if none is.
func Need(tools ...string) error {
	var missing, install []string
	for _, tool := range tools {
		if _, err := find(tool); err == nil || slices.Contains(missing, tool) {
			continue
		}
		missing = append(missing, tool)
		if !slices.Contains(install, packageOf[tool]) {
			install = append(install, packageOf[tool])
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("%s missing: on Debian, apt-get install --no-install-recommends %s",
		strings.Join(missing, ", "), strings.Join(install, " "))
}

// find looks in the folders of the administrator, too, which a user's PATH need not have.
func find(tool string) (string, error) {
	if path, err := exec.LookPath(tool); err == nil {
		return path, nil
	}
	for _, folder := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(folder + "/" + tool); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing", tool)
}

// job is one run of a tool.
type job struct {
	args   []string
	env    []string
	stdin  io.Reader
	stdout io.Writer
	line   func(string) // gets what it says on the standard error stream, line by line; may be nil
}

// run runs a tool until it ends or ctx does, and then leaves nothing of it: the whole process group
// is killed. The error holds the last that the tool said.
func run(ctx context.Context, j job) error {
	path, err := find(j.args[0])
	if err != nil {
		return Need(j.args[0])
	}
	said := &lines{each: j.line}
	cmd := exec.Command(path, j.args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = j.stdin, j.stdout, said
	if len(j.env) > 0 {
		cmd.Env = append(os.Environ(), j.env...)
	}
	exited, err := child.Start(cmd)
	if err != nil {
		return err
	}
	select {
	case err = <-exited:
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", j.args[0], err, said.last())
	}
	return nil
}

// lines cuts a stream into lines and keeps the last few.
type lines struct {
	each func(string)
	part []byte
	kept []string
}

const linesKept = 12

func (l *lines) Write(p []byte) (int, error) {
	l.part = append(l.part, p...)
	for {
		end := bytes.IndexByte(l.part, '\n')
		if end < 0 {
			return len(p), nil
		}
		line := strings.TrimRight(string(l.part[:end]), "\r")
		l.part = l.part[end+1:]
		l.kept = append(l.kept, line)
		l.kept = l.kept[max(0, len(l.kept)-linesKept):]
		if l.each != nil {
			l.each(line)
		}
	}
}

func (l *lines) last() string {
	all := l.kept
	if len(l.part) > 0 {
		all = append(all, string(l.part))
	}
	if len(all) == 0 {
		return "it said nothing"
	}
	return strings.Join(all, "\n")
}

// isInterrupt tells an end that was asked for from one that is a fault.
func isInterrupt(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
