// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"dx/go/dx"
)

// parentOfAnother is a guest that has started a program, which lives until its
// standard input ends. It says so, and waits to be killed.
func parentOfAnother(url string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	guest, err := dx.Attach(ctx, url, dx.Options{})
	if err != nil {
		return 99
	}
	other := exec.Command("cat")
	other.Stdin, other.Stdout = os.Stdin, os.Stdout
	if err := other.Start(); err != nil {
		return 98
	}
	none := dx.HandlerFunc(func(*dx.Request, []byte) (int, int32) { return 0, 0 })
	_ = guest.Serve(ctx, none)
	return 97
}

// startParent returns what ends the program that the guest started, and what
// reads a line through it: it lives.
func startParent(t *testing.T, url string) (parent *exec.Cmd, in, out *os.File) {
	t.Helper()
	childIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	parent = exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), guestVariable+"=parent", urlVariable+"="+url)
	parent.Stdin, parent.Stdout, parent.Stderr = childIn, childOut, os.Stderr
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	_ = childIn.Close()
	_ = childOut.Close()
	t.Cleanup(func() {
		_ = parent.Process.Kill()
		_ = parent.Wait()
		_ = in.Close()
		_ = out.Close()
	})
	return parent, in, out
}

func speaks(in, out *os.File) error {
	answer := make([]byte, 1)
	if _, err := in.Write([]byte{'x'}); err != nil {
		return err
	}
	_, err := io.ReadFull(out, answer)
	return err
}

func TestEndIsNoticedThoughAProgramThatWasStartedLives(t *testing.T) {
	for _, scheme := range []string{"shm:", "unix:"} {
		url := fmt.Sprintf("shm:dx-test-exec-%d", os.Getpid())
		if scheme == "unix:" {
			url = "unix:" + t.TempDir() + "/s"
		}
		host, err := dx.Create(url, dx.Config{RequestBytes: 8, ResponseBytes: 8})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = host.Close() })
		parent, in, out := startParent(t, url)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := host.Call(ctx, dx.TypePing, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := speaks(in, out); err != nil {
			t.Fatal(err)
		}
		_ = parent.Process.Kill()
		_, _ = parent.Process.Wait()
		if _, err := host.Call(ctx, dx.TypePing, nil, nil); !errors.Is(err, dx.ErrPeerDead) {
			t.Errorf("%s a call after the death ended with %v", scheme, err)
		}
		if err := speaks(in, out); err != nil {
			t.Errorf("%s the program that was started is gone: %v", scheme, err)
		}
	}
}
