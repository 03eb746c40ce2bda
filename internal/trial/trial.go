// SPDX-License-Identifier: Apache-2.0

// Package trial holds what tests set in the bindings and nobody else can.
package trial

import "time"

// Liveness, if it is not 0, is how long a sleeper sleeps at most before it looks whether its peer
// lives, of channels that are opened afterwards. By these looks a lost wake-up costs 20 ms and shows
// in nothing but a counter; so rare that it costs a minute, it misses a deadline, while one that a
// loaded machine delays does not.
var Liveness time.Duration
