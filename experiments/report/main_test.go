// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dx/experiments/internal/chart"
	"dx/experiments/internal/command"
	"dx/experiments/internal/framelog/madeup"
)

func TestMain(m *testing.M) {
	chart.DPI = 40
	os.Exit(m.Run())
}

// report runs the program on a folder with that text as results.
func report(t *testing.T, ctx context.Context, dir, out string) (code int, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = act(ctx, config{dir, out}, &o, &e)
	return code, o.String(), e.String()
}

func TestExitCodesTellWhatHappened(t *testing.T) {
	ctx := context.Background()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	good, failed, empty, damaged := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	one := madeup.Few
	one.Frames = 2
	bad := one
	bad.Failed = 1
	if madeup.Write(good, one) != nil || madeup.Write(failed, bad) != nil ||
		os.WriteFile(filepath.Join(empty, "result.jsonl"), nil, 0o644) != nil ||
		os.WriteFile(filepath.Join(damaged, "result.jsonl"), []byte("{}\n{\"x\n{}\n"), 0o644) != nil {
		t.Fatal("cannot make results up")
	}
	for _, c := range []struct {
		name   string
		ctx    context.Context
		dir    string
		code   int
		stderr string
	}{
		{"good", ctx, good, command.OK, ""},
		{"failed frames", ctx, failed, command.Failed, "some frames had failed"},
		{"empty file", ctx, empty, command.Usage, "no frame in it"},
		{"damaged file", ctx, damaged, command.Usage, "result.jsonl:1: no experiment"},
		{"no file", ctx, t.TempDir(), command.Usage, "name a folder that frames wrote"},
		{"interrupted", cancelled, good, command.Interrupted, "interrupted"},
	} {
		code, stdout, stderr := report(t, c.ctx, c.dir, t.TempDir())
		if code != c.code || !strings.Contains(stderr, c.stderr) || (stderr == "") != (c.stderr == "") {
			t.Errorf("%s: code %d, %q", c.name, code, stderr)
		}
		if (c.code <= command.Failed) != strings.Contains(stdout, "report.html") {
			t.Errorf("%s: %q", c.name, stdout)
		}
	}
}

func TestFlagsMayStandBehindTheFolderAndErrorsAreNamed(t *testing.T) {
	dir := t.TempDir()
	c, err := parse([]string{dir, "-out", "elsewhere"}, os.Stderr)
	if err != nil || c != (config{dir, "elsewhere"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := parse([]string{dir}, os.Stderr); err != nil || c.out != dir {
		t.Errorf("%+v, %v", c, err)
	}
	file := filepath.Join(dir, "result.jsonl")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no folder given": nil, "one folder at a time": {dir, dir}, "no such file": {dir + "/none"},
		"is no folder": {file}, "not defined": {"-nonsense"},
	} {
		if _, err := parse(args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	var help bytes.Buffer
	if _, err := parse([]string{"-h"}, &help); err == nil || !strings.Contains(help.String(), "go run ./experiments/report out/") {
		t.Errorf("%v: %s", err, help.String())
	}
}
