// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dx/experiments/internal/across"
	"dx/experiments/internal/env"
	"dx/experiments/internal/result"
)

const tableName = "table.txt"

// writeReport prints what was measured and leaves it in -out.
func writeReport(c config, e env.Environment, l log) error {
	var text bytes.Buffer
	tables(&text, l)
	text.WriteString("\n" + strings.Join(sentences(l), "\n") + "\n")
	fmt.Print(text.String())
	if err := os.WriteFile(filepath.Join(c.out, tableName), text.Bytes(), 0o644); err != nil {
		return err
	}
	if err := e.Save(c.out); err != nil {
		return err
	}
	fmt.Printf("\n%s\nresults: %s (%s, %s, %s, %s, %s, %s as png and svg)\n", e.Footer(), c.out, result.FileName, idleName, leftOutName, tableName, env.FileName,
		strings.Join(charts, ", "))
	return draw(e, l, c.out, "", true)
}

// trials writes what went wrong how, and what the peers' own benchmarks say.
func trials(w io.Writer, l log) {
	if len(l.faults) > 0 {
		aligned(w, faultLines(l))
		fmt.Fprint(w, faultLegend)
	}
	if len(l.own) > 0 {
		aligned(w, ownLines(l))
	}
}

// writeTrials prints that and leaves it in -out.
func writeTrials(c config, l log) error {
	var text bytes.Buffer
	trials(&text, l)
	fmt.Print(text.String())
	return os.WriteFile(filepath.Join(c.out, "trials.txt"), text.Bytes(), 0o644)
}

// load reads what a run has left in a folder.
func load(folder string) (l log, e env.Environment, err error) {
	if l.cells, _, err = result.Read(filepath.Join(folder, result.FileName)); err != nil {
		return l, e, err
	}
	if len(l.cells) == 0 || l.cells[0].Experiment != "peers" {
		return l, e, fmt.Errorf("%s: no results of peers", folder)
	}
	err = errors.Join(result.ReadLog(filepath.Join(folder, leftOutName), &l.out), result.ReadLog(filepath.Join(folder, idleName), &l.idle))
	tried, trialsErr := loadTrials(folder)
	l.faults, l.own = tried.faults, tried.own
	saved, loadErr := env.Load(folder)
	if saved != nil {
		e = *saved
	}
	return l, e, errors.Join(err, trialsErr, loadErr)
}

// loadTrials reads what -faults and -own have left in a folder.
func loadTrials(folder string) (l log, err error) {
	err = errors.Join(result.ReadLog(filepath.Join(folder, faultsName), &l.faults), result.ReadLog(filepath.Join(folder, ownFile), &l.own))
	return l, err
}

// writePage writes what was measured as a page of the documentation, and its charts beside it.
func writePage(path string, e env.Environment, l log) error {
	prefix := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + "-"
	if err := draw(e, l, filepath.Dir(path), prefix, false); err != nil {
		return err
	}
	return result.Replace(path, func(w io.Writer) error { return page(w, prefix, e, l) })
}

func page(w io.Writer, prefix string, e env.Environment, l log) error {
	var text bytes.Buffer
	fmt.Fprint(&text, "<!-- SPDX-License-Identifier: Apache-2.0 -->\n<!-- Written by experiments/peers -from FOLDER -page FILE. -->\n# Beside what one would pick instead\n\n")
	fmt.Fprint(&text, "*Asked:* what the same exchange costs over dx and over its alternatives, on one machine, in one run.\n\n")
	fmt.Fprint(&text, "*Command:* `go run ./experiments/peers`. A server and a client, each a process on CPUs of its own, exchange requests and responses; "+
		"the client verifies each response. Peers take turns, run by run. `-h` says what is measured and how.\n\n")
	fmt.Fprintf(&text, "*Machine:* %s.\n\n", e.Footer())
	fmt.Fprintf(&text, "![Round trips per second of each peer, logarithmic](%srate.png)\n\n", prefix)
	fmt.Fprint(&text, "*What it says:*\n\n")
	for _, sentence := range sentences(l) {
		fmt.Fprintf(&text, "- %s\n", sentence)
	}
	fmt.Fprint(&text, "\n*The peers,* each as its own documentation recommends for latency, and *-default* as it comes:\n\n| Peer | Set up as |\n|---|---|\n")
	for _, p := range all {
		fmt.Fprintf(&text, "| %s | %s |\n", p.name, p.as)
	}
	for _, c := range []struct{ name, title string }{{"latency", "Percentiles of the time of a call"}, {"cpu", "CPU time of a call"},
		{"payload", "The p50 of a round trip over the payload"}} {
		fmt.Fprintf(&text, "\n![%s](%s%s.png)\n", c.title, prefix, c.name)
	}
	fmt.Fprint(&text, "\n")
	var table bytes.Buffer
	tables(&table, l)
	indent(&text, table.String())
	if len(l.faults)+len(l.own) > 0 {
		fmt.Fprint(&text, "\n## When something goes wrong, and the peers' own benchmarks\n\n")
		var more bytes.Buffer
		trials(&more, l)
		indent(&text, more.String())
	}
	if len(l.vm.Cells) > 0 {
		intoVM(&text, l)
	}
	_, err := w.Write(text.Bytes())
	return err
}

// intoVM is the section of a page on the ways into a virtual machine.
func intoVM(w io.Writer, l log) {
	fmt.Fprint(w, "\n## Into a VM\n\n*Asked:* what a call from a host to a program in a QEMU guest on it costs, by dx and by what one would take without it.\n\n")
	fmt.Fprint(w, "*Command:* `go run ./experiments/boundary`. [boundary.md](boundary.md) says what each way is, and has more.\n\n")
	fmt.Fprintf(w, "*Machine:* %s.\n\n", across.Footer(l.vmIn))
	indent(w, across.Tables(l.vm)+across.Legend)
}

// indent makes a block of a page of a text.
func indent(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			line = "    " + line
		}
		fmt.Fprintln(w, line)
	}
}
