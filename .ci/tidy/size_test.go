// SPDX-License-Identifier: Apache-2.0

package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

const (
	linesMax          = 400
	linesOfTestMax    = 500
	linesOfFuncMax    = 60
	bytesOfAnyFileMax = 1 << 20
	bytesOfLogMax     = 4 << 20
)

// checkFileSizes finds sources that hold more than one idea, and files that do not belong here.
func checkFileSizes(files []file) (found []string) {
	for _, f := range files {
		most := bytesOfAnyFileMax
		if f.path == "tuning/results.jsonl" { // the log behind docs/measurements/tuning.md
			most = bytesOfLogMax
		}
		if len(f.text) > most {
			found = append(found, fmt.Sprintf("%s: %d bytes, at most %d", f.path, len(f.text), most))
		}
		if !f.isC() && !f.isGo() && !f.isScript() {
			continue
		}
		limit := linesMax
		if f.isTest() {
			limit = linesOfTestMax
		}
		if lines := strings.Count(f.text, "\n"); lines > limit {
			found = append(found, fmt.Sprintf("%s: %d lines, at most %d", f.path, lines, limit))
		}
	}
	return found
}

// checkFunctionSizes finds C and Go functions that are too long.
func checkFunctionSizes(files []file) (found []string) {
	for _, f := range files {
		var functions []span
		var err error
		switch {
		case f.isC():
			functions = functionsOfC(f.text)
		case f.isGo():
			functions, err = functionsOfGo(f)
		}
		if err != nil {
			found = append(found, err.Error())
		}
		for _, s := range functions {
			if lines := s.last - s.first + 1; lines > linesOfFuncMax {
				found = append(found, fmt.Sprintf("%s:%d: %s has %d lines, at most %d", f.path,
					s.first, s.name, lines, linesOfFuncMax))
			}
		}
	}
	return found
}

// span is a function, from its first line to its last.
type span struct {
	name        string
	first, last int
}

func functionsOfGo(f file) ([]span, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, f.path, f.text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var spans []span
	ast.Inspect(parsed, func(node ast.Node) bool {
		name := "a function literal"
		switch node := node.(type) {
		case *ast.FuncDecl:
			name = node.Name.Name
		case *ast.FuncLit:
		default:
			return true
		}
		spans = append(spans, span{name, set.Position(node.Pos()).Line, set.Position(node.End()).Line})
		return false // what lies inside is shorter
	})
	return spans, nil
}

// functionsOfC finds each outermost block that a parameter list comes before. A closing brace in
// column 0 always ends the outermost block, so that a conditional compilation that opens a block
// twice confuses no more than one function.
func functionsOfC(text string) []span {
	code := blankC(text)
	var spans []span
	depth, head := 0, 0 // head: where the text since the last declaration begins
	open := -1
	for i, c := range []byte(code) {
		switch {
		case c == '{':
			if depth == 0 {
				open = i
			}
			depth++
		case c == '}' && open >= 0:
			depth--
			if i > 0 && code[i-1] == '\n' {
				depth = 0
			}
			if depth > 0 {
				continue
			}
			depth = 0
			if name, ok := functionName(code[head:open]); ok {
				start := head + len(code[head:open]) - len(strings.TrimLeft(code[head:open], " \t\n"))
				spans = append(spans, span{name, lineAt(code, start), lineAt(code, i)})
			}
			head, open = i+1, -1
		case c == ';' && depth == 0:
			head = i + 1
		}
	}
	return spans
}

// functionName returns what stands before the first parenthesis of a definition's head.
func functionName(head string) (string, bool) {
	before, _, ok := strings.Cut(head, "(")
	words := strings.FieldsFunc(before, func(r rune) bool { return strings.ContainsRune(" \t\n*", r) })
	if !ok || len(words) == 0 || strings.Contains(before, "=") {
		return "", false
	}
	return words[len(words)-1], true
}

func lines(n int) string { return strings.Repeat("x;\n", n) }

func TestFileSizes(t *testing.T) {
	expect(t, checkFileSizes, []file{
		{"a.c", lines(400)}, {"a_test.go", lines(500)}, {"libdx/tests/a.c", lines(500)},
		{"a.md", lines(5000)}, {"docs/a.png", strings.Repeat("x", 1<<20)},
	})
	expect(t, checkFileSizes, []file{
		{"a.c", lines(401)}, {"a.h", lines(401)}, {"a.go", lines(401)}, {"a.sh", lines(401)},
		{"run", lines(401)}, {"a_test.go", lines(501)}, {"libdx/tests/a.c", lines(501)},
		{"docs/a.png", strings.Repeat("x", 1<<20+1)},
	}, "a.c: 401 lines", "a.h:", "a.go:", "a.sh:", "run:", "a_test.go: 501", "libdx/tests/a.c: 501",
		"1048577 bytes")
}

func TestFunctionSizesOfC(t *testing.T) {
	short := "static int f(int a,\n             int b)\n{\n" + lines(56) + "}\n"
	long := "static int g(int a,\n             int b)\n{\n" + lines(57) + "}\n"
	attached := "void *h(void) {\n" + lines(59) + "}\n"
	table := "static const char *const names[] = {\n" + strings.Repeat("\"{\",\n", 80) + "};\n"
	record := "struct s {\n" + lines(80) + "};\n"
	expect(t, checkFunctionSizes, []file{{"a.c", record + short + table + short}})
	expect(t, checkFunctionSizes, []file{{"a.h", record + short + table + long + short}},
		"a.h:225: g has 61 lines")
	expect(t, checkFunctionSizes, []file{{"a.c", long + attached}}, "a.c:1: g", "a.c:62: h has 61")
	twice := "int k(void)\n{\n#if A\n    if (a) {\n#else\n    if (b) {\n#endif\n    }\n}\n"
	expect(t, checkFunctionSizes, []file{{"a.c", twice + long}}, "a.c:10: g has 61")
}

func TestFunctionSizesOfGo(t *testing.T) {
	text := "package a\n\nfunc f() {\n" + lines(58) + "}\n\nfunc (t T) g() {\n" + lines(59) + "}\n" +
		"var h = func() {\n" + lines(59) + "}\n"
	expect(t, checkFunctionSizes, []file{{"a.go", text}}, "a.go:64: g has 61", "literal has 61")
	expect(t, checkFunctionSizes, []file{{"a.go", "no Go at all"}}, "a.go:1:1")
}
