// SPDX-License-Identifier: Apache-2.0

package result

// Newest keeps of each cell of a sweep the runs of the commit that was measured last, and says how
// many results it left out. Results of other experiments stay.
func Newest(cells []Cell) (kept []Cell, old int) {
	last := map[string]Cell{}
	for _, c := range cells {
		if newest, known := last[c.CellKey]; !known || c.Time.After(newest.Time) {
			last[c.CellKey] = c
		}
	}
	for _, c := range cells {
		if c.CellKey != "" && c.commit() != last[c.CellKey].commit() {
			old++
			continue
		}
		kept = append(kept, c)
	}
	return kept, old
}

// commit is the full hash where the environment is there.
func (c Cell) commit() string {
	if c.Env == nil {
		return c.EnvCommit
	}
	return c.Env.GitCommit
}
