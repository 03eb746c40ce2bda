// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"time"

	"dx/go/dx"
)

// ParkAtOnce is a strategy without a single look between question and sleep; poll, unless it is 0, is
// poll_ns.
func ParkAtOnce(park dx.Park, poll time.Duration) dx.Wait {
	w := Default().Wait
	w.SpinMin, w.SpinMax, w.SpinStart, w.SpinInc, w.SpinDec = 0, 0, 0, 0, 0
	w.YieldEvery, w.Burst = 0, 0
	w.Adapt, w.Park = dx.AdaptOff, park
	if poll != 0 {
		w.PollNs = int64(poll)
	}
	return w
}
