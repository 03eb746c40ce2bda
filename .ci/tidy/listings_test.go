// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"strings"
	"testing"
)

// checkListings finds listings of the guides that are no part of a program which the checks run.
func checkListings(files []file) []string {
	var wrong []string
	programs := map[string]string{}
	for _, f := range files {
		if strings.HasPrefix(f.path, "libdx/examples/") || strings.HasSuffix(f.path, "/example_test.go") {
			programs[f.ext()] += "\x00\n" + plain(f.text)
		}
	}
	for _, f := range files {
		if !strings.HasPrefix(f.path, "docs/guide-") {
			continue
		}
		for i, part := range strings.Split("\n"+f.text, "\n```") {
			language, listing, found := strings.Cut(part, "\n")
			if i%2 == 0 || language == "" || !found {
				continue
			}
			if !strings.Contains(programs["."+language], "\n"+plain(listing)+"\n") {
				wrong = append(wrong, fmt.Sprintf("%s: in no example: %s", f.path, strings.TrimSpace(listing)))
			}
		}
	}
	return wrong
}

// plain is a text without indentation.
func plain(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "\n")
}

func TestListings(t *testing.T) {
	example := file{"go/dx/example_test.go", "func a() {\n\tb()\n\tc()\n}\n"}
	for text, right := range map[string]bool{
		"Text.\n\n```go\nb()\nc()\n```\n":               true,
		"Text.\n\n```go\n\tc()\n}\n```\nMore.\n":        true,
		"Text.\n\n```go\nb()\n```\n\n```go\nd()\n```\n": false,
		"Text.\n\n```go\nb(\n```\n":                     false,
		"Text.\n\n```c\nb()\n```\n":                     false,
	} {
		wrong := checkListings([]file{example, {"docs/guide-go.md", text}})
		if (len(wrong) == 0) != right {
			t.Errorf("%q: %q", text, wrong)
		}
	}
}
