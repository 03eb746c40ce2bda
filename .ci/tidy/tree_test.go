// SPDX-License-Identifier: Apache-2.0

// Package tidy checks the repository itself: sizes, memory-order labels, banned words, licences.
// Each rule is a function from files to findings, so that it is tested on made-up files first and
// then run on the real ones.
package tidy

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file is one file of the tree; its path is relative to the top and has slashes.
type file struct {
	path string
	text string
}

func (f file) ext() string { return filepath.Ext(f.path) }

func (f file) isC() bool { return f.ext() == ".c" || f.ext() == ".h" }

func (f file) isGo() bool { return f.ext() == ".go" }

func (f file) isScript() bool {
	return f.ext() == ".sh" || f.path == "run" || f.path == ".ci/run" || f.path == "vm/vm"
}

func (f file) isTest() bool {
	return strings.HasSuffix(f.path, "_test.go") || strings.Contains(f.path, "/tests/")
}

// isData reports whether nobody wrote the file by hand as code or as a script.
func (f file) isData() bool {
	switch filepath.Base(f.path) {
	case "LICENSE", ".gitignore", ".clang-format", "go.mod", "go.sum", "Cargo.lock":
		return true
	}
	return slices.Contains([]string{".md", ".csv", ".json", ".jsonl", ".png", ".svg", ".toml",
		".txt"}, f.ext())
}

func TestTree(t *testing.T) {
	files := readTree(t, filepath.Join("..", ".."))
	for _, must := range []string{"run", "libdx/dx.h", ".ci/tidy/tree_test.go"} {
		if !slices.ContainsFunc(files, func(f file) bool { return f.path == must }) {
			t.Fatalf("%s is not among the %d files found: this is not the tree", must, len(files))
		}
	}
	rules := []struct {
		name  string
		check func([]file) []string
	}{
		{"file_sizes", checkFileSizes},
		{"function_sizes", checkFunctionSizes},
		{"links", checkLinks},
		{"listings", checkListings},
		{"labels", checkLabels},
		{"unlabelled", checkUnlabelled},
		{"direct_atomics", checkDirectAtomics},
		{"words", checkWords},
		{"calls", checkCalls},
		{"descriptors", checkDescriptors},
		{"shared", checkShared},
		{"binaries", checkBinaries},
		{"licences", checkLicences},
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, finding := range rule.check(files) {
				t.Error(finding)
			}
		})
	}
}

// readTree returns every file that is tracked or could be. Without a checkout (in a source
// archive) it walks the folder.
func readTree(t *testing.T, top string) []file {
	t.Helper()
	paths, err := trackedPaths(top)
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	for _, path := range paths {
		name := filepath.Join(top, path)
		if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
			continue // deleted but still tracked, or a link
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{path, string(text)})
	}
	return files
}

func trackedPaths(top string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(top, ".git")); err != nil {
		return walkedPaths(top)
	}
	command := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = top
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00"), nil
}

func walkedPaths(top string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		built := path == "out" || strings.HasPrefix(path, "build") || entry.Name() == ".git"
		if entry.IsDir() && built {
			return filepath.SkipDir
		}
		if entry.Type().IsRegular() {
			paths = append(paths, filepath.ToSlash(path))
		}
		return nil
	})
	return paths, err
}

func TestWalkLeavesOutWhatIsBuilt(t *testing.T) {
	top := t.TempDir()
	for _, path := range []string{"a.c", "out/x", "build/x", "build-1/x", "b/.git/x", "b/out/c.c"} {
		name := filepath.Join(top, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for _, f := range readTree(t, top) {
		paths = append(paths, f.path)
	}
	if want := []string{"a.c", "b/out/c.c"}; !slices.Equal(paths, want) {
		t.Errorf("found %q, want %q", paths, want)
	}
}

// expect runs a rule on made-up files: it must find one thing for each of want, in that order,
// that contains it; with no want, nothing.
func expect(t *testing.T, check func([]file) []string, files []file, want ...string) {
	t.Helper()
	found := check(files)
	if len(found) != len(want) {
		t.Fatalf("found %d things, want %d:\n%s", len(found), len(want), strings.Join(found, "\n"))
	}
	for i := range want {
		if !strings.Contains(found[i], want[i]) {
			t.Errorf("found %q, want something with %q", found[i], want[i])
		}
	}
}

// lineAt returns the number of the line, from 1, in which a byte lies.
func lineAt(text string, offset int) int {
	return 1 + strings.Count(text[:offset], "\n")
}

// blankC replaces comments, literals and preprocessor lines of C by spaces, so that what is found
// in the rest is code. Offsets and lines stay.
func blankC(text string) string {
	out := []byte(text)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	fresh := true // nothing but spaces in this line so far
	for i := 0; i < len(text); {
		end := i + 1
		switch c := text[i]; {
		case strings.HasPrefix(text[i:], "//"):
			end = indexFrom(text, i, "\n")
			blank(i, end)
		case strings.HasPrefix(text[i:], "/*"):
			end = min(indexFrom(text, i+2, "*/")+2, len(text))
			blank(i, end)
		case c == '"' || c == '\'':
			end = literalEnd(text, i)
			blank(i+1, end-1)
			fresh = false
		case c == '#' && fresh:
			end = directiveEnd(text, i)
			blank(i, end)
		case c == '\n':
			fresh = true
		case c != ' ' && c != '\t':
			fresh = false
		}
		i = end
	}
	return string(out)
}

func indexFrom(text string, from int, what string) int {
	if from > len(text) {
		return len(text)
	}
	if at := strings.Index(text[from:], what); at >= 0 {
		return from + at
	}
	return len(text)
}

// literalEnd returns where the literal that begins at start ends, at the latest with its line.
func literalEnd(text string, start int) int {
	for i := start + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[start], '\n':
			return i + 1
		}
	}
	return len(text)
}

// directiveEnd returns where a preprocessor line ends: before the first line end that is not
// escaped, or before a comment, which may go on for several lines.
func directiveEnd(text string, start int) int {
	for i := start; i < len(text); i++ {
		if text[i] == '\n' && text[i-1] != '\\' {
			return i
		}
		if strings.HasPrefix(text[i:], "/*") {
			return i
		}
	}
	return len(text)
}

func TestBlankC(t *testing.T) {
	text := "#define A { \\\n  \"x\" } /* c\n{ */\nint f(void) // {\n{ return '{' + \"\\\"{\"[0]; }\n"
	blanked := blankC(text)
	if len(blanked) != len(text) || strings.Count(blanked, "\n") != strings.Count(text, "\n") {
		t.Errorf("offsets or lines moved: %q", blanked)
	}
	if got := strings.Join(strings.Fields(blanked), " "); got != `int f(void) { return ' ' + " "[0]; }` {
		t.Errorf("what remains is %q", got)
	}
}
