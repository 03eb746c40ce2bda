// SPDX-License-Identifier: Apache-2.0

package result

import (
	"fmt"
	"strings"
)

// Labels names each summary by what not all of them have in common, callers and rate aside; if that
// is nothing, by its title. A language, path, transport or payload that nearly all have is not
// mentioned with those.
func Labels(summaries []Summary) []string {
	parts := make([][]string, len(summaries))
	for number, aspect := range []func(Key) string{
		func(k Key) string { return k.Experiment },
		func(k Key) string { return k.Variant },
		func(k Key) string { return "host " + k.Host },
		func(k Key) string { return "guest " + k.Guest },
		func(k Key) string { return "path " + k.Path },
		func(k Key) string { return "transport " + k.Transport },
		func(k Key) string { return FormatBytes(k.PayloadBytes) },
		func(k Key) string { return fmt.Sprintf("%d in flight", k.InFlight) },
		func(k Key) string { return k.Handlers },
	} {
		count := map[string]int{}
		for _, s := range summaries {
			count[aspect(s.Key)]++
		}
		for i, s := range summaries {
			text := aspect(s.Key)
			isName := number < 2
			if len(count) > 1 && text != "" && (isName || count[text]*4 < len(summaries)*3) {
				parts[i] = append(parts[i], text)
			}
		}
	}
	labels := make([]string, len(summaries))
	for i, s := range summaries {
		if labels[i] = strings.Join(parts[i], ", "); labels[i] == "" {
			s.RatePerS = 0
			labels[i] = s.Title()
		}
	}
	return labels
}
