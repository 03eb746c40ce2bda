// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"dx/experiments/internal/frames"
	"dx/experiments/internal/result"
)

// An earlier experiment found that a guest copies a frame out of shared memory 4.2
// times as slowly as it reads it, and concluded that the guest's writes to its own
// memory are what is slow. Its read was one load a line. The loads of that machine
// went to uncached memory, where each takes some 150 ns however wide it is, and a
// copy needs four times as many of them: that alone gives such a factor.

const factorSaid = 4.2

// A load from cached memory that was flushed takes a few nanoseconds, as many are
// under way at once; one from uncached memory 100 ns and more.
const uncachedLoadNs = 50

// localWrites holds each part of that finding against the data. Every verdict needs
// all runs on its side.
func localWrites(c *frames.Cell) []string {
	if c.Direction == result.GuestToHost { // that guest received
		return nil
	}
	factor, writes, load := c.Ratio("copy_cold", "read_cold"), c.Ratio("write_cold", "read_cold"), c.PerLoad()
	if !factor.Known() || !writes.Known() {
		return nil
	}
	return []string{
		fmt.Sprintf("%s: \"local writes are the bottleneck, 4.2x\", against this data (all flushed before):", c.Frame),
		fmt.Sprintf("  a copy takes %s times as long as a read of every byte: 4.2 is %s", factor,
			verdict(factor, factorSaid, "more than any run showed", "less than any run showed", "within what the runs showed")),
		fmt.Sprintf("  writing the guest's own memory takes %s times as long as reading the region: the writes are %s", writes,
			verdict(writes, 1, "not what is slower", "what is slower", "not shown to be slower or faster, as runs disagree")),
		fmt.Sprintf("  one load in each line takes %s ns: the region is %s", load,
			verdict(load, uncachedLoadNs, "cached, and loads are not what holds a copy up", "not cached, and the number of loads decides", "cached in some runs only")),
	}
}

// verdict says on which side of a limit all runs lie.
func verdict(s frames.Span, limit float64, below, above, neither string) string {
	switch {
	case s.High < limit:
		return below
	case s.Low > limit:
		return above
	}
	return neither
}
