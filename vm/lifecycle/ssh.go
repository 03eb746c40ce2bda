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

	"dx/vm/child"
	"dx/vm/debian"
)

// sshHost is what the guest is called in its ssh_config.
const sshHost = "guest"

// makeKeys makes the user's key and the guest's own. Both live as long as the guest.
func (f Folder) makeKeys(ctx context.Context) error {
	for _, name := range []string{keyFile, hostKeyFile} {
		cmd := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dx", "-f", f.file(name))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %w: %s", err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// seed is what cloud-init shall know.
func (f Folder) seed(c Config, instance string) (debian.Seed, error) {
	seed := debian.Seed{Name: c.Name, Instance: instance, Packages: c.Image.Packages()}
	for name, to := range map[string]*string{keyFile + ".pub": &seed.PublicKey,
		hostKeyFile: &seed.HostKey, hostKeyFile + ".pub": &seed.HostPublic} {
		text, err := os.ReadFile(f.file(name))
		if err != nil {
			return seed, err
		}
		*to = string(text)
	}
	return seed, nil
}

// writeSSH writes ssh's files for the guest at this port. Its key is known beforehand, so nobody
// has to trust whoever answers there.
func (f Folder) writeSSH(port int) error {
	public, err := os.ReadFile(f.file(hostKeyFile + ".pub"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.file(knownFile), []byte(sshHost+" "+string(public)), 0o600); err != nil {
		return err
	}
	text := fmt.Sprintf(`Host %s
  HostName 127.0.0.1
  Port %d
  User %s
  HostKeyAlias %s
  UserKnownHostsFile "%s"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  IdentityFile "%s"
  IdentitiesOnly yes
  IdentityAgent none
  PasswordAuthentication no
  ControlPath "%s"
  LogLevel ERROR
`, sshHost, port, debian.User, sshHost, f.file(knownFile), f.file(keyFile), f.file(controlFile))
	return os.WriteFile(f.file(configFile), []byte(text), 0o600)
}

// SSHArgs is a command line that runs ssh in the guest: a shell, or a command if there is one.
func (f Folder) SSHArgs(command ...string) []string {
	return append([]string{"ssh", "-F", f.file(configFile), sshHost}, command...)
}

// connect logs in, and returns when that has succeeded: a new connection costs more than a second
// under TCG, so one is kept, over which all later ones go. It ends by kill, with QEMU, or with us.
func (f Folder) connect(ctx context.Context) (kill func(), exited <-chan error, err error) {
	cmd := exec.Command("ssh", "-F", f.file(configFile), "-o", "ControlMaster=yes", "-o", "ConnectTimeout=30",
		"-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo in", "-N", sshHost)
	said, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = said.Close() }()
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &complaint
	exited, err = child.Start(cmd)
	_ = out.Close()
	if err != nil {
		return nil, nil, err
	}
	kill = func() { _ = cmd.Process.Kill() }
	in := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(said, make([]byte, 2))
		in <- err
	}()
	select {
	case err = <-in:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		return kill, exited, nil
	}
	kill()
	<-exited
	return nil, nil, fmt.Errorf("the guest is ready, but lets nobody log in: %w: %s", err, strings.TrimSpace(complaint.String()))
}

// Quote makes words one command line for the guest's shell, as ssh takes it.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// ErrDown says that the guest is not up.
var ErrDown = errors.New("is down")

// Up returns the state of a guest that is up, ErrDown if it is not.
func (f Folder) Up() (State, error) {
	s, err := f.Load()
	if errors.Is(err, os.ErrNotExist) || err == nil && (s.Phase != PhaseUp || !s.Keeper.Running()) {
		return s, ErrDown
	}
	return s, err
}

// SSHConfig is the file that makes ssh's tools know the guest by the name "guest".
func (f Folder) SSHConfig() string { return f.file(configFile) }
