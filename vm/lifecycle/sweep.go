// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// endWait is how long a process may take to end after it was asked or killed.
const endWait = 15 * time.Second

// sweep removes what a guest leaves: its processes, its region, the files of its folder. Its keeper
// is dead or is the caller. Files that are none of ours stay, and so do the logs if they are to.
func (f Folder) sweep(s State, keepLogs bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), endWait)
	defer cancel()
	if err := s.QEMU.Kill(ctx); err != nil {
		return fmt.Errorf("QEMU: %w", err) // it may still use the rest
	}
	failed := s.Region.remove()
	names := append([]string{}, workFiles...)
	if !keepLogs {
		names = append(names, logFiles...)
	}
	// The state goes last: whoever is interrupted here finds the rest by it.
	for _, name := range append(names, stateFile+".new") {
		failed = errors.Join(failed, removeIfThere(f.file(name)))
	}
	if failed != nil {
		return failed
	}
	if err := removeIfThere(f.file(stateFile)); err != nil || keepLogs {
		return err
	}
	err := os.Remove(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTEMPTY):
		return fmt.Errorf("%s holds files that are not the guest's own, and stays", f.Path)
	}
	return err
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// clear waits for a keeper that is about to end, and removes what dead ones have left. It reports
// the state of a guest that is up instead. The caller holds the lock, so that nobody else starts
// one.
func (f Folder) clear(ctx context.Context) (up *State, err error) {
	s, err := f.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.sweep(State{}, false)
	}
	if err != nil {
		return nil, err
	}
	if s.Phase == PhaseUp && s.Keeper.Running() {
		return &s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, endWait)
	defer cancel()
	// Its `up` is dead, for we have the lock: it is cleaning up already.
	if err := s.Keeper.Gone(ctx); err != nil {
		return nil, fmt.Errorf("the keeper of an earlier start: %w", err)
	}
	if s, err = f.Load(); errors.Is(err, fs.ErrNotExist) {
		return nil, f.sweep(State{}, false)
	} else if err != nil {
		return nil, err
	}
	return nil, f.sweep(s, false)
}

// Down takes the guest down, and says whether there was one. Nothing of it is left then.
func (f Folder) Down(ctx context.Context) (wasUp bool, err error) {
	if _, err := os.Lstat(f.Path); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(f.Path + ".lock"); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
	}
	unlock, err := f.Lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	s, err := f.clear(ctx)
	if err != nil || s == nil {
		return false, err
	}
	if err := s.Keeper.Signal(syscall.SIGTERM); err != nil {
		return true, fmt.Errorf("keeper: %w", err)
	}
	patience, cancel := context.WithTimeout(context.Background(), endWait)
	defer cancel()
	if err := s.Keeper.Gone(patience); err != nil {
		last, cancel := context.WithTimeout(context.Background(), endWait)
		defer cancel()
		if err := s.Keeper.Kill(last); err != nil {
			return true, fmt.Errorf("keeper: %w", err)
		}
	}
	return true, f.sweep(*s, false)
}
