// SPDX-License-Identifier: Apache-2.0

// Package alarm lets a goroutine sleep to a point in time.
package alarm

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm lets a goroutine sleep to a point in time with the precision of the
// kernel. Go's own timers are looked at whenever a goroutine yields, but a
// process that is idle waits for them in whole milliseconds: the timer descriptor
// ends that wait.
type Alarm struct {
	fd   int
	file *os.File // hands fd to the runtime's poller
}

// New returns an alarm; Close gives its descriptor back.
func New() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &Alarm{fd, os.NewFile(uintptr(fd), "alarm")}, nil
}

// Close of nil does nothing.
func (a *Alarm) Close() {
	if a != nil {
		_ = a.file.Close()
	}
}

// LongestSleep is how soon a caller that sleeps sees that it is to stop.
const LongestSleep = 100 * time.Millisecond

// Wait returns at the time t, or soon after ended was set. The last of it, as long as spin says, it
// yields instead of sleeping.
func (a *Alarm) Wait(t time.Time, spin time.Duration, ended *atomic.Bool) {
	for left := time.Until(t); left > 0 && !ended.Load(); left = time.Until(t) {
		if left <= spin {
			runtime.Gosched()
			continue
		}
		sleep := min(left-spin, LongestSleep)
		// The runtime must see its own timer expired when the alarm wakes it.
		const later = 3 * time.Microsecond
		spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(sleep + later))}
		_ = unix.TimerfdSettime(a.fd, 0, &spec, nil) // without it we are a millisecond late
		time.Sleep(sleep)
	}
}
