// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"errors"

	"golang.org/x/sys/unix"
)

// takeRings takes all rings of an eventfd, and returns false if there were none. Others who share
// it can make it blocking at any time, and take a ring back: so this one read is told not to wait.
func takeRings(fd uintptr) bool {
	var count [8]byte
	n, err := unix.Preadv2(int(fd), [][]byte{count[:]}, -1, unix.RWF_NOWAIT)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) { // Linux before 5.8
		_ = unix.SetNonblock(int(fd), true)
		n, err = unix.Read(int(fd), count[:])
	}
	return err == nil && n == len(count)
}
