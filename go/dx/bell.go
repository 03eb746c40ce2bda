// SPDX-License-Identifier: Apache-2.0

package dx

import (
	"os"
	"time"

	"dx/libdx"
)

// bell is where a goroutine waits to be rung without holding an OS thread or a
// P: a thread of libdx turns the rings of a cell into an eventfd, for which the
// runtime's poller waits. A goroutine that blocked in C instead would keep its P
// until sysmon takes it away, up to 10 ms later.
type bell struct {
	ch   *Channel
	cell uint32
	raw  libdx.Bell
	file *os.File // nil until the first wait, and for strategies that nobody rings
}

// ensure opens the bell if it is not open yet.
func (b *bell) ensure() error {
	if b.file != nil || b.ch.wait.Park == libdx.ParkPoll || b.ch.wait.Park == libdx.ParkNever {
		return nil
	}
	raw, fd, err := b.ch.raw.OpenBell(b.cell)
	if err != nil {
		return err
	}
	b.raw, b.file = raw, os.NewFile(uintptr(fd), "dx-bell")
	return nil
}

// wait returns true when the cell was rung, false after at most limit.
func (b *bell) wait(limit time.Duration) bool {
	if b.file == nil {
		time.Sleep(min(limit, time.Duration(b.ch.wait.PollNs)))
		return false
	}
	var count [8]byte
	_ = b.file.SetReadDeadline(time.Now().Add(limit))
	_, err := b.file.Read(count[:])
	return err == nil
}

// close must not run together with wait.
func (b *bell) close() {
	if b.file != nil {
		_ = b.file.Close()
		b.raw.Close()
		b.file = nil
	}
}
