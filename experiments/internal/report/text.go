// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// columns is the width of running text.
const columns = 100

// Text writes the document for a terminal or an editor.
func (d Document) Text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n%s\n", d.Title, strings.Repeat("=", utf8.RuneCountInString(d.Title)), d.Subtitle)
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n%s\n%s\n", s.Title, strings.Repeat("-", utf8.RuneCountInString(s.Title)))
		for _, sentence := range s.Text {
			wrap(&b, sentence)
		}
		for _, t := range s.Tables {
			fmt.Fprintf(&b, "\n%s\n", t.Caption)
			t.text(&b)
		}
		for _, c := range s.Charts {
			fmt.Fprintf(&b, "\n%s: %s.png, %s.svg\n", c.Title, c.Name, c.Name)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (t Table) text(b *bytes.Buffer) {
	flags := uint(tabwriter.AlignRight)
	if len(t.Head) == 2 {
		flags = 0
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', flags)
	for _, row := range append([][]string{t.Head}, t.Rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t")+"\t")
	}
	w.Flush() // a bytes.Buffer takes everything
}

// wrap writes a sentence as a point of a list.
func wrap(b *bytes.Buffer, sentence string) {
	line := "-"
	for _, word := range strings.Fields(sentence) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns {
			fmt.Fprintln(b, line)
			line = " "
		}
		line += " " + word
	}
	fmt.Fprintln(b, line)
}
