// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unfinished begins the names of what is being made in the cache folder. Whoever holds the folder's
// lock may remove all that begin so: their makers are dead.
const unfinished = ".unfinished-"

// CacheFolder returns where images are kept, and makes it: dx in the user's cache folder.
func CacheFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w", err)
	}
	folder := filepath.Join(base, "dx")
	// Strangers pass through, as the hooks of a build do, and nobody else knows names in it.
	return folder, os.MkdirAll(folder, 0o711)
}

// lockCache makes us the only one who makes images in the folder, waiting for whoever else does.
func lockCache(ctx context.Context, folder string, p Progress) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(folder, "images.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
		if first {
			p.Step("waiting for another process that makes an image", 0)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond): // a lock has no descriptor to wait at
		}
	}
}

// sweepCache removes what dead processes left unfinished. The caller holds the lock.
func sweepCache(folder string) error {
	left, err := filepath.Glob(filepath.Join(folder, unfinished+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := removeTree(path); err != nil {
			return fmt.Errorf("left by an interrupted run: %w", err)
		}
	}
	return nil
}

// removeTree removes a folder in which a root file system may have been put together, never across
// a mount, and also where its files belong to the subordinate users of a user namespace.
func removeTree(path string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err == nil && mountedBelow(string(mounts), path) {
		return fmt.Errorf("%s: something is mounted in it", path)
	}
	err = os.RemoveAll(path)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	helper := run(ctx, job{args: []string{"mmdebstrap", "--unshare-helper", "rm", "-rf", "--one-file-system", "--", path}})
	if again := os.RemoveAll(path); again != nil {
		return errors.Join(again, helper)
	}
	return nil
}

func mountedBelow(mountinfo, path string) bool {
	for _, line := range strings.Split(mountinfo, "\n") {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4]+"/", path+"/") {
			return true
		}
	}
	return false
}
