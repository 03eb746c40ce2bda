// SPDX-License-Identifier: Apache-2.0

// Package report writes what was measured as text and as one page of HTML.
package report

import (
	"io"
	"path/filepath"
	"strings"

	"dx/experiments/internal/result"
)

// Document is a report before it has a form.
type Document struct {
	Title    string
	Subtitle string
	// Failed says that something was not right; the page then begins with it.
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

// Say adds sentences that are not empty.
func (s *Section) Say(sentences ...string) {
	for _, sentence := range sentences {
		if sentence != "" {
			s.Text = append(s.Text, sentence)
		}
	}
}

// Add appends a table unless it has no rows.
func (s *Section) Add(t Table) {
	if len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
}

// IsEmpty says that there is nothing in it.
func (s *Section) IsEmpty() bool { return len(s.Text)+len(s.Tables)+len(s.Charts) == 0 }

// List joins words: a, b and c.
func List(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// Names of the files of a report.
const (
	TextName = "performance_report.txt"
	HTMLName = "report.html"
)

// Write writes the report in both forms into the folder of its charts. Each file appears complete or
// not at all.
func (d Document) Write(dir string) (text, html string, err error) {
	text, html = filepath.Join(dir, TextName), filepath.Join(dir, HTMLName)
	if err := result.Replace(text, d.Text); err != nil {
		return text, html, err
	}
	return text, html, result.Replace(html, func(w io.Writer) error { return d.HTML(w, dir) })
}
