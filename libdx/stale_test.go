// SPDX-License-Identifier: Apache-2.0

package libdx

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The go tool does not look at C files outside a package's folder: a binding
// that keeps its C sources elsewhere runs yesterday's library. These tests change
// C sources in a copy of this folder and look at what the next build does.

const probeMain = `package main

import (
	"fmt"

	"dx/libdx"
	"dx/user"
)

func main() {
	fmt.Println((&libdx.Error{}).Error(), libdx.TypeUser, user.TypeUser())
}
`

// probeUser is a cgo package elsewhere that includes our headers, as the
// experiments do.
const probeUser = `package user

// #include "../libdx/dx_caller.h"
import "C"

import _ "dx/libdx"

func TypeUser() int { return C.DX_TYPE_USER }
`

const probeTest = `package main

import (
	"fmt"
	"testing"

	"dx/libdx"
)

func TestPrint(t *testing.T) { fmt.Println((&libdx.Error{}).Error()) }
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s holds no %q", path, old)
	}
	write(t, path, strings.Replace(string(text), old, new, 1))
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	// Each change builds the library anew: quickly, and for the first time.
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_CFLAGS=-O0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestChangedCSourceReachesTheNextGoRunAndGoTest(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile("../" + file)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir+"/"+file, string(text))
	}
	write(t, dir+"/main.go", probeMain)
	write(t, dir+"/main_test.go", probeTest)
	write(t, dir+"/user/user.go", probeUser)
	for _, pattern := range []string{"*.c", "*.h", "libdx*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir+"/libdx/"+file, string(text))
		}
	}
	if out := run(t, dir, "run", "."); out != "dx: ok 128 128\n" {
		t.Fatalf("before: %q", out)
	}
	replace(t, dir+"/libdx/error.c", `"ok"`, `"changed source"`)
	replace(t, dir+"/libdx/dx_caller.h", "DX_TYPE_USER 128u", "DX_TYPE_USER 140u")
	if out := run(t, dir, "run", "."); out != "dx: changed source 140 140\n" {
		t.Errorf("after a change of a C source and of a header: %q", out)
	}
	if out := run(t, dir, "test", "-v", "."); !strings.Contains(out, "dx: changed source") {
		t.Errorf("go test after a change of a C source: %q", out)
	}
}
