// SPDX-License-Identifier: Apache-2.0

//go:build race

package dxnet

import "sync/atomic"

// What was done before a Write has happened before what comes after the Read that got it. The race
// detector does not see that through shared memory. It is told so here, as package syscall does for
// all that is written and read.
var written atomic.Int64

func beforeWrite() { written.Add(1) }
func afterRead()   { written.Load() }
