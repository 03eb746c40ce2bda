// SPDX-License-Identifier: Apache-2.0

package debian

import "time"

// Progress is told how work goes on. Its methods are called from one goroutine at a time.
type Progress interface {
	// Step begins a step that takes about so long; 0 is unknown.
	Step(what string, about time.Duration)
	// Done says how much of the current step is done, where that is known: 0 to 1.
	Done(part float64)
}
