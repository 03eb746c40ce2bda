// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// banned is what may not stand in some files, and why. Each word is put together from pieces, so
// that this file, which is checked like any other, does not hold it.
type banned struct {
	pattern *regexp.Regexp
	why     string
	in      func(file) bool
}

func words(list ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:` + strings.Join(list, "|") + `)\b`)
}

func everywhere(file) bool { return true }

// outsideOfStyles leaves out pages whose styles have words of their own, and what names old words.
func outsideOfStyles(f file) bool { return f.ext() != ".tmpl" && f.path != "docs/changelog.md" }

func inGoTests(f file) bool { return strings.HasSuffix(f.path, "_test.go") }

var bannedWords = []banned{
	{words("TO"+"DO", "FIX"+"ME", "X"+"XX", "HA"+"CK"), "do it, or open an issue", everywhere},
	{words("session"+" limit", "work"+"place", "co-authored"+"-by"),
		"the tree says what the product is, not how it came about", everywhere},
	{words("usl" + "eep"), "obsolete, and 65 us at the least; wait by handshake", everywhere},
	{words("pki"+"ll", "kill"+"all"), "end only what was started, by its recorded pid", everywhere},
	{regexp.MustCompile(`(?m)(?:^|[;&|({!` + "`" + `]|\b(?:do|then|else)\b)[ \t]*sle` + `ep[ \t]+["$\d]`),
		"wait by handshake with a deadline", file.isScript},
	{regexp.MustCompile(`\btime\.Sle` + `ep\(`), "wait by handshake with a deadline", inGoTests},
	{regexp.MustCompile(`(?:^|[^\w.}/-])/(?:work|home|root)/`), "a path of one machine", everywhere},
	{regexp.MustCompile(`(?i)(?:\b|_)(?:pul` + `se|hei` + `r|riv` + `al|bor` + `der|va` + `in|sile` + `nce_ns)s?(?:\b|_)`),
		"docs/glossary.md has the field's word", outsideOfStyles},
	{words(`proxy\.gol`+`ang\.org`, `sum\.gol`+`ang\.org`, `deb\.deb`+`ian\.org`,
		`security\.deb`+`ian\.org`, `py`+`pi\.org`, `registry\.npm`+`js\.org`, `crates`+`\.io`,
		`dock`+`er\.io`, `gh`+`cr\.io`, `qu`+`ay\.io`), "which registry is the user's choice", everywhere},
}

// checkWords finds banned words in whatever somebody wrote.
func checkWords(files []file) (found []string) {
	for _, f := range files {
		if f.isData() && f.ext() != ".md" || isBinary(f) {
			continue
		}
		for _, b := range bannedWords {
			if !b.in(f) {
				continue
			}
			for _, at := range b.pattern.FindAllStringIndex(f.text, -1) {
				found = append(found, fmt.Sprintf("%s:%d: %q: %s", f.path,
					lineAt(f.text, at[1]), strings.TrimSpace(f.text[at[0]:at[1]]), b.why))
			}
		}
	}
	return found
}

var bannedCalls = regexp.MustCompile(`\b(system|strcpy|strcat|sprintf|vsprintf|gets)\s*\(`)

// checkCalls finds calls in C that have no bound, or that start a shell.
func checkCalls(files []file) (found []string) {
	for _, f := range files {
		if !f.isC() {
			continue
		}
		code := blankC(f.text)
		for _, at := range bannedCalls.FindAllStringIndex(code, -1) {
			found = append(found, fmt.Sprintf("%s:%d: %s)", f.path, lineAt(code, at[0]),
				code[at[0]:at[1]]))
		}
	}
	return found
}

func isBinary(f file) bool {
	return strings.Contains(f.text, "\x00") || !utf8.ValidString(f.text)
}

// checkBinaries finds binary files other than the pictures of the documents.
func checkBinaries(files []file) (found []string) {
	for _, f := range files {
		if isBinary(f) && !(strings.HasPrefix(f.path, "docs/") && f.ext() == ".png") {
			found = append(found, f.path+": a binary file")
		}
	}
	return found
}

// checkLicences finds files that do not say under which licence they are.
func checkLicences(files []file) (found []string) {
	for _, f := range files {
		head := strings.Join(strings.SplitN(f.text, "\n", 6)[:min(5, 1+strings.Count(f.text, "\n"))], "\n")
		if !f.isData() && !strings.Contains(head, "SPDX-License-Identifier: Apache-2.0") {
			found = append(found, f.path+": no SPDX-License-Identifier: Apache-2.0 at its top")
		}
	}
	return found
}

func TestWords(t *testing.T) {
	expect(t, checkWords, []file{
		{"a.c", "hacks /tmp/x.XXXXXX todos usleepy a/home/b ../work/a ${x}/root/y homework/"},
		{"a.sh", "asleep 3\n# to sleep 3 hours\n"}, {"go.sum", "h1:X" + "XX/="},
		{"a.go", "time.Sle" + "ep(1)"}, {"docs/a.png", "\x00 TO" + "DO"},
	})
	expect(t, checkWords, []file{
		{"a.md", "// to" + "do:\n(FIX" + "ME)\nX" + "XX Ha" + "ck"},
		{"b.md", "a work" + "place"},
		{"c.c", "usl" + "eep(3);"},
		{"d.sh", "pki" + "ll a; kill" + "all b"},
		{"e.sh", "while x; do sle" + "ep 1; done\n  sle" + "ep \"$n\"\nx && sle" + "ep 0.1"},
		{"f_test.go", "time.Sle" + "ep(time.Second)"},
		{"g.md", "/ho" + "me/me\nsee \"/wo" + "rk/x\" and `/ro" + "ot/y`"},
		{"h.sh", "curl https://deb.deb" + "ian.org/debian"},
	}, "a.md:1", "a.md:2", "a.md:3", "a.md:3", "b.md", "c.c", "pki"+"ll", "kill"+"all", "e.sh:1",
		"e.sh:2", "e.sh:3", "f_test.go", "g.md:1", "g.md:2", "g.md:2", "deb.deb"+"ian.org")
}

// Each pattern must be able to fail, so that none is left from a rule that was misspelt.
func TestEveryBannedWordIsFound(t *testing.T) {
	samples := []string{"TO" + "DO", "work" + "place", "usl" + "eep", "pki" + "ll", "sle" + "ep 1",
		"time.Sle" + "ep(", "/wo" + "rk/", "dx_pul" + "se_note", "crates" + ".io"}
	for i, b := range bannedWords {
		if !b.pattern.MatchString(samples[i]) {
			t.Errorf("%v does not match %q", b.pattern, samples[i])
		}
	}
}

func TestCalls(t *testing.T) {
	expect(t, checkCalls, []file{
		{"a.c", "snprintf(a, 1, b); fgets(a, 1, f); /* gets(a) */ x = \"system(\"; my_system(a);"},
		{"a.go", "system(x)"},
	})
	expect(t, checkCalls, []file{
		{"a.c", "system(a);\nstrcpy(a, b); strcat(a, b);\nsprintf(a, b); vsprintf(a, b, c); gets (a);"},
		{"a.h", "gets(a);"},
	}, "a.c:1: system", "a.c:2: strcpy", "strcat", "a.c:3: sprintf", "vsprintf", "gets", "a.h:1: gets")
}

func TestBinaries(t *testing.T) {
	expect(t, checkBinaries, []file{{"a.c", "ä"}, {"docs/a.png", "\x89PNG\x00"}})
	expect(t, checkBinaries, []file{{"a.o", "\x7fELF\x00"}, {"a.png", "\x89PNG"}, {"docs/a.bin", "\xff"}},
		"a.o", "a.png", "docs/a.bin")
}

func TestLicences(t *testing.T) {
	line := "// SPDX-License-Identifier: Apache-2.0\n"
	expect(t, checkLicences, []file{
		{"a.c", line}, {"a.sh", "#!/bin/sh\n" + line}, {"a.md", ""}, {"go.sum", "x"}, {"LICENSE", "x"},
	})
	expect(t, checkLicences, []file{
		{"a.c", ""}, {"run", lines(5) + line}, {"a.go", "// SPDX-License-Identifier: MIT\n"},
		{"libdx/libdx.map", "{};\n"},
	}, "a.c", "run", "a.go", "libdx.map")
}
