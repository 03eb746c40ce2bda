// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)\s#]+)(?:#[^)\s]*)?\)`)

// checkLinks finds links of pages to files and folders that are not in the tree.
func checkLinks(files []file) (found []string) {
	known := map[string]bool{}
	for _, f := range files {
		for p := f.path; p != "."; p = path.Dir(p) {
			known[p] = true
		}
	}
	for _, f := range files {
		if f.ext() != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(f.text, -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			if !known[path.Join(path.Dir(f.path), m[1])] {
				found = append(found, fmt.Sprintf("%s: there is no %s", f.path, m[1]))
			}
		}
	}
	return found
}

func TestLinks(t *testing.T) {
	expect(t, checkLinks, []file{
		{"docs/a.md", "[b](b/c.md#part) [d](../d) [e](https://example.org/e) [a](a.md)"},
		{"docs/b/c.md", "[a](../a.md)"}, {"d/main.go", ""},
	})
	expect(t, checkLinks, []file{{"docs/a.md", "[b](b.md) and [c](../c/)"}}, "no b.md", "no ../c/")
}
