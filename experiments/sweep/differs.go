// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dx/experiments/internal/result"
	"dx/experiments/sweep/grid"
)

// differences of design between the earlier program and this one: reasons to
// expect other results, not results.
const designs = `The programs differ by design, in what can explain other results:

- There, each caller had a thread or goroutine of its own on the answering side as well; here one serving goroutine answers all
  slots, so that with many callers there are fewer runnable threads than CPUs rather than more.
- There, each side counted and changed state by locked read-modify-writes on shared words; here a call is one store on each side,
  and a fence.
- There, a goroutine that yielded or slept took part in a wait of its own; here callers share their process's CPUs by turns of
  several calls each (` + "`burst`" + `), and those that wait for a turn do not look.
- The machines differ as well. Compare effects, not rates.
`

// differs sums up where the effects of the experiments are those that the earlier
// program saw.
func (r *report) differs() {
	said := map[string][]string{}
	for _, file := range r.files {
		at := slices.IndexFunc(r.files, func(f *grid.File) bool { return f.Name == file.Compare })
		if at < 0 {
			continue
		}
		for _, callers := range slices.SortedFunc(maps.Keys(file.Earlier), byNumber) {
			base, known := r.files[at].Earlier[callers]
			n, err := strconv.Atoi(callers)
			if !known || err != nil {
				continue
			}
			effect := file.Earlier[callers]/base - 1
			ours := r.ours(r.pairs(file), n, effect)
			if _, verdict, found := strings.Cut(ours, ", "); found {
				said[verdict] = append(said[verdict], fmt.Sprintf("%s, %s (%+.0f %% there)", file.Title, result.Callers(n), effect*100))
			}
		}
	}
	if len(said) == 0 {
		return
	}
	r.printf("## What differs from the earlier program\n\nEffects in the closed loop, against each program's own baseline:\n\n")
	for _, part := range []struct{ verdict, text string }{
		{"the same direction", "Seen here as well"},
		{"the other direction", "The opposite is seen here"},
		{"within the noise", "Not seen here beyond the noise"},
	} {
		if list := said[part.verdict]; len(list) > 0 {
			r.printf("- %s (%d): %s.\n", part.text, len(list), strings.Join(list, "; "))
		}
	}
	r.printf("\n%s\n", designs)
}
