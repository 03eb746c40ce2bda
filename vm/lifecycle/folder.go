// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Phases of a guest that has a state file.
const (
	PhaseStarting = "starting"
	PhaseUp       = "up"
)

// State is the state file of a guest. What it names may not be there yet, or not any more: it is
// written before things are made.
type State struct {
	Version    int        `json:"version"`
	Phase      string     `json:"phase"`
	Config     Config     `json:"config"`
	Keeper     Process    `json:"keeper"`
	QEMU       Process    `json:"qemu"`
	SSHPort    int        `json:"ssh_port"`
	Since      time.Time  `json:"since"`
	ReadyAfter float64    `json:"ready_after_s"`
	Region     RegionFile `json:"region"`
	Socket     string     `json:"socket,omitempty"` // of the ivshmem server, ours or the user's
}

const stateVersion = 1

// Folder is where a guest has all of its own.
type Folder struct {
	Path string
}

// Files of a folder. Nothing else is ever removed from it.
const (
	stateFile   = "state.json"
	overlayFile = "overlay.qcow2"
	seedFile    = "seed.iso"
	keyFile     = "key"
	hostKeyFile = "host_key"
	knownFile   = "known_hosts"
	configFile  = "ssh_config"
	controlFile = "ssh.sock"
	serverFile  = "ivshmem.sock"
	consoleLog  = "console.log"
	keeperLog   = "keeper.log"
)

var (
	workFiles = []string{overlayFile, seedFile, keyFile, keyFile + ".pub", hostKeyFile, hostKeyFile + ".pub",
		knownFile, configFile, controlFile, serverFile}
	logFiles = []string{consoleLog, keeperLog}
)

// pathMax leaves room for the longest socket: 108 bytes less a NUL, a name, and the suffix that ssh
// gives to a socket that it makes.
const pathMax = 108 - 1 - len(serverFile) - 1 - 18

// FolderOf returns the folder of a guest: vm-NAME in dx of the user's state folder.
func FolderOf(name string) (Folder, error) {
	if !nameForm.MatchString(name) {
		return Folder{}, Config{Name: name}.Check()
	}
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return Folder{}, fmt.Errorf("no state folder: %w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	f := Folder{filepath.Join(base, "dx", "vm-"+name)}
	if len(f.Path) > pathMax {
		return Folder{}, fmt.Errorf("%s is %d bytes too long for the sockets in it: set XDG_STATE_HOME to a shorter folder",
			f.Path, len(f.Path)-pathMax)
	}
	if strings.ContainsAny(f.Path, "\"\n%$") {
		return Folder{}, fmt.Errorf("%q cannot stand in a file of ssh: set XDG_STATE_HOME to another folder", f.Path)
	}
	return f, nil
}

func (f Folder) file(name string) string { return filepath.Join(f.Path, name) }

// ErrBusy says that another command is at work on the guest.
var ErrBusy = errors.New("another vm command is at work on this guest")

// Lock makes us the only one who brings the guest up or down; ErrBusy if another one is. Unlock
// removes the lock's file, so that a guest that is down leaves nothing.
func (f Folder) Lock() (unlock func(), err error) {
	path := f.Path + ".lock"
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return nil, err
	}
	for {
		lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			_ = lock.Close()
			return nil, ErrBusy
		}
		if err != nil {
			_ = lock.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		// Whoever had it before us may have removed the name: then it locks nobody out.
		ours, err := lock.Stat()
		named, nameErr := os.Stat(path)
		if err == nil && nameErr == nil && os.SameFile(ours, named) {
			return func() { _ = os.Remove(path); _ = lock.Close() }, nil
		}
		_ = lock.Close()
	}
}

// Load reads the state file; fs.ErrNotExist if there is none.
func (f Folder) Load() (State, error) {
	text, err := os.ReadFile(f.file(stateFile))
	if err != nil {
		return State{}, err
	}
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return State{}, fmt.Errorf("%s: %w", f.file(stateFile), err)
	}
	if s.Version != stateVersion {
		return State{}, fmt.Errorf("%s: version %d, not %d", f.file(stateFile), s.Version, stateVersion)
	}
	return s, nil
}

// save replaces the state file as a whole.
func (f Folder) save(s State) error {
	s.Version = stateVersion
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	next := f.file(stateFile + ".new")
	if err := os.WriteFile(next, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.file(stateFile))
}
