// SPDX-License-Identifier: Apache-2.0

package libdx

import "time"

// SetLiveness is for tests of other packages than dx, which fills it in when the program begins: it
// sets in a *dx.Options how long who sleeps on a channel does so at most before it looks whether its
// peer lives. By these looks a lost wake-up costs 20 ms and shows in nothing but a counter. So rare
// that one costs a minute, it misses a deadline, while one that a loaded machine delays does not.
var SetLiveness func(options any, longest time.Duration)
