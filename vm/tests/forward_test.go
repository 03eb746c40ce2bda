// SPDX-License-Identifier: Apache-2.0

package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"dx/vm/machine"
	"dx/vm/quick"
)

// echoSocket is where a program in the machine listens.
const echoSocket = "/echo"

// echo sends back what comes.
func echo() error {
	l, err := net.Listen("unix", echoSocket)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}()
	}
}

// buildTool compiles the program dx, so that it runs in the machine.
func buildTool(t *testing.T) string {
	t.Helper()
	tool := filepath.Join(t.TempDir(), "dx")
	if err := quick.BuildTool(t.Context(), tool); err != nil {
		t.Fatal(err)
	}
	return tool
}

// startIn starts a program in the machine, and returns when it says that it is ready.
func startIn(t *testing.T, g *quick.Guest, args []string, env []string) {
	t.Helper()
	r, w := io.Pipe()
	if _, err := g.Start(args, env, w, os.Stderr); err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(r).ReadString('\n'); said != "ready\n" {
		t.Fatalf("%v says %q, %v", args, said, err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
}

// A program here reaches one in a machine that has no network.
func TestForwardReachesAProgramInAMachine(t *testing.T) {
	const bytes = 1 << 20
	tool := buildTool(t)
	path := filepath.Join("/dev/shm", fmt.Sprintf("dx-test-forward-%d", os.Getpid()))
	region, err := machine.CreateRegion(path, bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g, err := quick.Boot(ctx, quick.Config{Accel: machine.TCG, MemoryMiB: 256, Region: region,
		Programs: map[string]string{"/dx": tool}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Kill)
	startIn(t, g, []string{quick.Self}, []string{roleEnv + "=echo"})
	startIn(t, g, []string{"/dx", "forward", "-connect", "unix:" + echoSocket, "-peer-timeout", "1000",
		"ivshmem:plain"}, nil)
	socket := socketPath(t)
	cmd := exec.Command(tool, "forward", "-listen", "unix:"+socket, "-create", "-conns", "4", "-peer-timeout",
		"1000", "file:"+path)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal("dx forward does not start", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("dx forward: %v", err)
		}
	})
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "ready\n" {
		t.Fatalf("dx forward says %q, %v", said, err)
	}
	var all sync.WaitGroup
	for i := range 8 { // twice as many as there are slots
		all.Go(func() {
			if err := echoed(socket, strings.Repeat(fmt.Sprint(i), 300_000)); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// echoed sends a text to the socket, and wants it back.
func echoed(socket, text string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(c, text)
		sent <- errors.Join(err, c.(*net.UnixConn).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err == nil && string(got) != text {
		err = fmt.Errorf("%d bytes came back of %d, or others", len(got), len(text))
	}
	return errors.Join(err, <-sent)
}

// socketPath is short: the name of a Unix socket has 107 bytes, and a test's own folder can have more.
func socketPath(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "dx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return filepath.Join(folder, "in")
}
