// SPDX-License-Identifier: Apache-2.0

//go:build !linux || !cgo

package dx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"dx/go/dx"
)

func TestWithoutTheCLibraryEveryEntryPointSaysWhatIsMissing(t *testing.T) {
	var wait dx.Wait
	entries := map[string]func() error{
		"Create":      func() error { _, err := dx.Create("memfd:", dx.Config{}); return err },
		"Create/wait": func() error { _, err := dx.Create("memfd:", dx.Config{Options: dx.Options{Wait: &wait}}); return err },
		"Attach":      func() error { _, err := dx.Attach(context.Background(), "shm:x", dx.Options{}); return err },
		"Listen":      func() error { _, err := dx.Listen("shm:x", 2, dx.Config{}); return err },
		"Observe":     func() error { _, err := dx.Observe("shm:x"); return err },
		"BindDevice":  func() error { return dx.BindDevice("ivshmem:doorbell") },
		"Preset":      func() error { _, err := dx.Preset("balanced"); return err },
		"DefaultWait": func() error { _, err := dx.DefaultWait(); return err },
		"LoadWait":    func() error { _, err := dx.LoadWait("latency"); return err },
		"Check":       func() error { return wait.Check() },
	}
	for name, enter := range entries {
		err := enter()
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "cgo") ||
			!strings.Contains(err.Error(), "Linux") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWithoutTheCLibraryMessageTypesAreThoseOfTheHeader(t *testing.T) {
	header, err := os.ReadFile("../../libdx/dx_caller.h")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]uint32{"PING": dx.TypePing, "USER": dx.TypeUser,
		"MAX": dx.TypeMax} {
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^#define DX_TYPE_%s %du\b`, name, value))
		if !line.Match(header) {
			t.Errorf("dx_caller.h has no %s", line)
		}
	}
}
