// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CreateRegion makes the file behind an ivshmem-plain device, of zero bytes and for us alone. What
// exists is left as it is: an error that is fs.ErrExist. The file is the caller's to remove, after
// the machine has ended. Use a tmpfs such as /dev/shm: other file systems write the bytes to disk.
func CreateRegion(path string, bytes int64) (Region, error) {
	if err := CheckRegionBytes(bytes); err != nil {
		return Region{}, err
	}
	// SIGXFSZ would end this program.
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err == nil && uint64(bytes) > limit.Cur {
		return Region{}, fmt.Errorf("region: RLIMIT_FSIZE (ulimit -f) allows files of %d bytes, %d are needed",
			limit.Cur, bytes)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Region{}, fmt.Errorf("region: %w", err)
	}
	// fallocate takes the memory, so that a file system that is too small is found here.
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Fallocate(int(f.Fd()), 0, 0, bytes)
	}
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = f.Truncate(bytes)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
		return Region{}, fmt.Errorf("region of %d bytes in %s: %w", bytes, path, err)
	}
	return Region{Path: path, Bytes: bytes}, nil
}

// checkRegionFile finds before QEMU does what would end it with a message that helps nobody.
func checkRegionFile(r Region) error {
	if err := CheckRegionBytes(r.Bytes); err != nil {
		return err
	}
	s, err := os.Stat(r.Path)
	if err != nil {
		return fmt.Errorf("region: %w", err)
	}
	if !s.Mode().IsRegular() || s.Size() != r.Bytes {
		return fmt.Errorf("region: %s has %d bytes, not %d, or is no regular file", r.Path, s.Size(), r.Bytes)
	}
	return nil
}
