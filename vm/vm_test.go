// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dx/vm/lifecycle"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"4096": 4096, "16M": 16 << 20, "1g": 1 << 30, "64K": 64 << 10, "0": 0} {
		var s size
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%s is %d, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "M", "-1", "1.5G", "16MB", "9999999999T", "x"} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q became %d", text, s)
		}
	}
	if s := size(16 << 20); s.String() != "16M" {
		t.Error(s.String())
	}
}

func TestCPUs(t *testing.T) {
	var l cpuList
	if err := l.Set("0,2-4"); err != nil || !slices.Equal(l, []int{0, 2, 3, 4}) || l.String() != "0,2,3,4" {
		t.Error(l, err)
	}
	for _, text := range []string{"", "a", "3-1", "1,", "-1"} {
		if err := l.Set(text); err == nil {
			t.Errorf("%q became %v", text, l)
		}
	}
}

func TestUpFlagsAndEnvironment(t *testing.T) {
	t.Setenv("DX_VM_REGION", "4M")
	t.Setenv("DX_VM_CPUS", "3")
	t.Setenv("IVSHMEM_MODE", "doorbell")
	r, err := parseUp([]string{"-cpus", "1", "-dx", "/bin/true"})
	if err != nil || r.config.CPUs != 1 || r.config.RegionBytes != 4<<20 || r.config.Mode != lifecycle.Doorbell {
		t.Errorf("%+v %v", r.config, err)
	}
	if r, err = parseUp([]string{"-mode", "plain", "-name", "b"}); err != nil || r.config.RegionPath != "/dev/shm/dx-vm-b" {
		t.Errorf("%+v %v", r.config, err)
	}
	t.Setenv("DX_VM_CPUS", "three")
	if _, err := parseUp(nil); err == nil || !strings.Contains(err.Error(), "DX_VM_CPUS=three") {
		t.Error(err)
	}
}

func TestUpRefusesWhatCannotBe(t *testing.T) {
	for _, args := range []string{"-region 24M", "-region 2K", "-cpus 0", "-memory 10M", "-mode bell", "-socket /s",
		"-mode doorbell -region-file /r", "-mode doorbell -socket /s -region 1M", "-image a -mirror b", "-name ?", "-x",
		"extra", "-pin x", "-timeout 0s"} {
		_, err := parseUp(strings.Fields(args))
		var wrong usageError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", args, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for want, err := range map[int]error{exitOK: flag.ErrHelp, exitUsage: usageError{errors.New("x")}, exitBusy: lifecycle.ErrBusy,
		exitDown: lifecycle.ErrDown, exitInterrupted: context.Canceled, exitFailed: errors.New("x"), 7: codeError(7)} {
		if code := explain("up", err); code != want {
			t.Errorf("%v: %d, not %d", err, code, want)
		}
	}
	if code := explain("run", errors.New("x")); code != exitNotRun {
		t.Error(code)
	}
}

func TestAccelTakesNoArguments(t *testing.T) {
	var wrong usageError
	if err := accel(t.Context(), []string{"kvm"}); !errors.As(err, &wrong) {
		t.Error(err)
	}
}

func Example_accel() {
	folder, err := os.MkdirTemp("", "dx-vm-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for name, value := range map[string]string{"DX_VM_CACHE": folder, "DX_VM_ACCEL": "tcg"} {
		before, was := os.LookupEnv(name)
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
		defer func() {
			if _ = os.Unsetenv(name); was {
				_ = os.Setenv(name, before)
			}
		}()
	}
	if err := accel(context.Background(), nil); err != nil {
		fmt.Println(err)
	}
	// Output: tcg: as DX_VM_ACCEL says
}

func TestProgressTellsTheTimeLeft(t *testing.T) {
	now := time.Unix(0, 0)
	var out strings.Builder
	p := &progress{out: &out, now: func() time.Time { return now }, stop: make(chan struct{})}
	p.Step("booting", 25*time.Second)
	now = now.Add(10 * time.Second)
	p.renew()
	p.Done(0.5)
	now = now.Add(10 * time.Second)
	p.renew()
	p.Step("logging in", 2*time.Second)
	now = now.Add(11 * time.Second)
	p.renew()
	p.Close()
	want := "vm: booting, about 25 s left\nvm: booting, 10 s, about 15 s left\nvm: booting, 20 s, 50 %, about 20 s left\n" +
		"vm: logging in, about 2 s left\nvm: logging in, 11 s, longer than usual\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}
