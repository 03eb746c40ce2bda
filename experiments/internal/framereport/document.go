// SPDX-License-Identifier: Apache-2.0

// Package framereport writes what experiments/frames measured as text and as one page of HTML. Every
// sentence follows from the data: where runs differ by more than a margin, it says so and nothing
// else.
package framereport

import (
	"strings"
)

// Document is a report before it has a form.
type Document struct {
	Title    string
	Subtitle string
	// Failed says that frames were not right.
	Failed   bool
	Sections []Section
}

// Section is a part of it.
type Section struct {
	Title  string
	Text   []string
	Tables []Table
	Charts []Picture
}

// Table is rows of texts; the first column names the row.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Picture is a chart in the folder of the results: Name.svg and Name.png.
type Picture struct {
	Name, Title string
}

func (s *Section) say(sentences ...string) {
	for _, sentence := range sentences {
		if sentence != "" {
			s.Text = append(s.Text, sentence)
		}
	}
}

// add appends a table unless it has no rows.
func (s *Section) add(t Table) {
	if len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
}

// isEmpty says that there is nothing in it.
func (s *Section) isEmpty() bool { return len(s.Text)+len(s.Tables)+len(s.Charts) == 0 }

// list joins words: a, b and c.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
