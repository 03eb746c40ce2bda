// SPDX-License-Identifier: Apache-2.0

package child

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// PassRegion has cmd, which is not started yet and has no other files of ours, inherit the descriptor
// of a memfd: region, and returns the region's URL there. done is to be called once cmd was started.
func PassRegion(cmd *exec.Cmd, fd int) (url string, done func(), err error) {
	// The child needs a descriptor of its own number; ExtraFiles begin at 3.
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return "", nil, fmt.Errorf("cannot pass the region on: %w", err)
	}
	region := os.NewFile(uintptr(own), "region")
	cmd.ExtraFiles = []*os.File{region}
	return "memfd:3", func() { _ = region.Close() }, nil
}
