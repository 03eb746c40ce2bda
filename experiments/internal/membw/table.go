// SPDX-License-Identifier: Apache-2.0

package membw

import (
	"fmt"
	"io"
	"text/tabwriter"

	"dx/experiments/internal/result"
)

// Table writes a line for each figure: median, minimum and maximum in MB/s (10^6 bytes a second).
func (b Baseline) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "level\tcache bytes\tbuffer bytes\twhat\tmedian\tmin\tmax\tunit\t")
	for _, f := range b {
		cache := "-"
		if f.CacheBytes > 0 {
			cache = fmt.Sprint(f.CacheBytes)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\tMB/s\t\n", f.Name, cache, f.BufferBytes, f.Kind,
			result.FormatSig3(f.Median()/1e6), result.FormatSig3(f.Min()/1e6), result.FormatSig3(f.Max()/1e6))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, level := range b.Levels() {
		if level.Note != "" {
			if _, err := fmt.Fprintf(w, "%s: %s\n", level.Name, level.Note); err != nil {
				return err
			}
		}
	}
	return nil
}
