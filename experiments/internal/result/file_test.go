// SPDX-License-Identifier: Apache-2.0

package result

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func open(t *testing.T, dir string) *Writer {
	t.Helper()
	w, err := OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.file.Close() })
	return w
}

func write(t *testing.T, w *Writer, cells ...Cell) {
	t.Helper()
	for _, c := range cells {
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) (cells []Cell, torn bool) {
	t.Helper()
	cells, torn, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return cells, torn
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	w := open(t, t.TempDir())
	bare := Cell{Experiment: "floor"}
	want := []Cell{sample(1, 1, 4e6), sample(8, 2, 3e6), bare}
	write(t, w, want...)
	got, torn := read(t, w.Path())
	// A strategy comes back as JSON knows it.
	for i := range want[:2] {
		want[i].Wait = map[string]any{"spin_max": 2000.0}
	}
	if torn || !reflect.DeepEqual(got, want) {
		t.Errorf("torn %v, got\n%+v, want\n%+v", torn, got, want)
	}
}

func TestEveryLineIsInTheFileBeforeTheWriterIsClosed(t *testing.T) {
	w := open(t, t.TempDir())
	for i := 1; i <= 3; i++ {
		write(t, w, sample(1, i, 1e6))
		if cells, _ := read(t, w.Path()); len(cells) != i {
			t.Errorf("%d lines after %d writes", len(cells), i)
		}
	}
}

func TestFiguresThatAreNoNumberAreWrittenAsNull(t *testing.T) {
	w := open(t, t.TempDir())
	c := sample(1, 1, 1e6)
	c.Fairness, c.CPUSPerMop = new(math.NaN()), new(math.Inf(1))
	write(t, w, c)
	cells, _ := read(t, w.Path())
	if cells[0].Fairness != nil || cells[0].CPUSPerMop != nil || cells[0].OpsPerS == nil {
		t.Errorf("%+v", cells[0])
	}
}

func TestOpenWriterMendsWhatAnInterruptedRunLeft(t *testing.T) {
	for _, c := range []struct {
		name, tail string
		cells      int
		torn       int64
	}{
		{"nothing", "", 1, 0},
		{"half a line", `{"experiment":"ping`, 1, 19},
		{"only the end of the line is missing", `{"experiment":"whole"}`, 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, FileName)
			if err := os.WriteFile(path, []byte(`{"experiment":"first"}`+"\n"+c.tail), 0o644); err != nil {
				t.Fatal(err)
			}
			if cells, torn := read(t, path); len(cells) != c.cells || torn != (c.torn > 0) {
				t.Errorf("before: %d cells, torn %v", len(cells), torn)
			}
			w := open(t, dir)
			if w.TornBytes() != c.torn {
				t.Errorf("%d bytes removed, want %d", w.TornBytes(), c.torn)
			}
			write(t, w, Cell{Experiment: "last"})
			cells, torn := read(t, path)
			if torn || len(cells) != c.cells+1 || cells[0].Experiment != "first" || cells[c.cells].Experiment != "last" {
				t.Errorf("after: torn %v, %+v", torn, cells)
			}
		})
	}
}

func TestASecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if _, err := OpenWriter(dir); err == nil || !strings.Contains(err.Error(), "another run is writing") {
		t.Errorf("error %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestAFailedWriteNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir)
	w.file.Close()
	err := w.Write(sample(1, 1, 1e6))
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, FileName)) {
		t.Errorf("error %v", err)
	}
}

func TestReadRefusesWhatIsNoResult(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"middle": {"{}\n{\"thr\n{}\n", "middle:2:"},
		"type":   {"{}\n{}\n{\"threads\":\"many\"}", "type:3:"},
		"ended":  {"{}\n{\"threads\n", "ended:2:"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, torn, err := Read(path); err == nil || torn || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: torn %v, error %v, want %q in it", name, torn, err, c.want)
		}
	}
	if _, _, err := Read(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestPrepareDirCreatesAndLeavesNothingElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := PrepareDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestPrepareDirSaysWhyItCannot(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(root, "taken")
	if err := os.MkdirAll(filepath.Join(taken, FileName), 0o755); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(root, "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		file:                         "not a directory",
		filepath.Join(file, "below"): "not a directory",
		"/proc/self/dx-results":      "no such file",
		taken:                        "no regular file",
	}
	if os.Geteuid() != 0 { // permissions do not stop root
		cases[closed] = "permission denied"
	}
	for dir, reason := range cases {
		err := PrepareDir(dir)
		if err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "cannot write to "+dir) ||
			!strings.Contains(err.Error(), "choose another folder") {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
