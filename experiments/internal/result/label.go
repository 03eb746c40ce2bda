// SPDX-License-Identifier: Apache-2.0

package result

import (
	"slices"
	"strings"
)

// Labels names each summary by what not all of them have in common, callers and rate aside; if that
// is nothing, by its title.
func Labels(summaries []Summary) []string {
	aspects := []func(Key) string{
		func(k Key) string { return k.Experiment },
		func(k Key) string { return k.Variant },
		func(k Key) string { return "host " + k.Host },
		func(k Key) string { return "guest " + k.Guest },
		func(k Key) string { return "path " + k.Path },
		func(k Key) string { return "transport " + k.Transport },
		func(k Key) string { return FormatBytes(k.PayloadBytes) },
	}
	parts := make([][]string, len(summaries))
	for _, aspect := range aspects {
		same := func(s Summary) bool { return aspect(s.Key) == aspect(summaries[0].Key) }
		if len(summaries) == 0 || !slices.ContainsFunc(summaries, func(s Summary) bool { return !same(s) }) {
			continue
		}
		for i, s := range summaries {
			if text := aspect(s.Key); text != "" {
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
