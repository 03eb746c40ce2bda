// SPDX-License-Identifier: Apache-2.0

//go:build linux && cgo

package dxnet

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// buildTool compiles the program dx.
func buildTool(t testing.TB, optimization string) string {
	t.Helper()
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "gcc"
	}
	tool := filepath.Join(t.TempDir(), "dx")
	args := []string{optimization, "-D_GNU_SOURCE", "-std=c11", "-o", tool}
	for _, pattern := range []string{"*.c", "tools/*.c", "tools/mapping/*.c"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "libdx", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		args = append(args, files...)
	}
	if said, err := exec.Command(compiler, append(args, "-lpthread", "-lrt")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return tool
}

// forward starts dx forward, and returns when it is ready.
func forward(t testing.TB, tool string, args ...string) {
	t.Helper()
	cmd := exec.Command(tool, append([]string{"forward"}, args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("dx forward: %v", err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("dx forward says %q, %v", line, err)
	}
}

// speak has a conversation between two ends, in which one direction ends first.
func speak(t *testing.T, ours, theirs net.Conn) {
	t.Helper()
	text := strings.Repeat("many words. ", 20_000)
	go func() {
		_, _ = io.WriteString(ours, text)
		_ = ours.(interface{ CloseWrite() error }).CloseWrite()
	}()
	if got, err := io.ReadAll(theirs); string(got) != text || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	mustWrite(t, theirs, "answer")
	_ = theirs.Close()
	if got, err := io.ReadAll(ours); string(got) != "answer" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_ = ours.Close()
}

func TestDxForwardSpeaksTheSameProtocol(t *testing.T) {
	tool := buildTool(t, "-O0")
	eachWay(t, func(t *testing.T, w way) {
		t.Run("it dials", func(t *testing.T) { forwardDials(t, w, tool) })
		t.Run("it listens", func(t *testing.T) { forwardConnects(t, w, tool) })
	})
}

func forwardDials(t *testing.T, w way, tool string) {
	s := listen(t, w, Config{Conns: 4})
	socket := socketPath(t)
	role := "-attach"
	if w.dialerHosts {
		role = "-create"
	}
	forward(t, tool, "-listen", "unix:"+socket, role, s.url)
	for i := range 6 {
		ours, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := s.listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			speak(t, ours, theirs)
		} else {
			speak(t, theirs, ours)
		}
	}
}

func forwardConnects(t *testing.T, w way, tool string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := urlOf(t, w.kind)
	dials, _ := w.configs(Config{Conns: 4})
	role := "-create"
	if w.dialerHosts {
		role = "-attach"
	}
	forward(t, tool, url, "-connect", "tcp:"+l.Addr().String(), role)
	for i := range 6 {
		ours, err := dials.Dial(testContext(t), url)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			speak(t, ours, theirs)
		} else {
			speak(t, theirs, ours)
		}
	}
	// A reset of TCP is one here, too.
	ours, err := dials.Dial(testContext(t), url)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, theirs, "then a reset")
	mustRead(t, ours, "then a reset")
	_ = theirs.(*net.TCPConn).SetLinger(0)
	_ = theirs.Close()
	_, err = ours.Read(make([]byte, 1))
	wants(t, "read", err, syscall.ECONNRESET, false)
	_ = ours.Close()
	// Who cannot be reached refuses.
	_ = l.Close()
	if _, err = dials.Dial(testContext(t), url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	awaitNothingLeft() // before the program at the other side is ended
}

// socketPath is short: the name of a Unix socket has 107 bytes, and a test's own folder can have more.
func socketPath(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "dx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return filepath.Join(folder, "in")
}

// Beside it the same without dx forward. -benchtime 2s or more: a connection first finds out whether bytes
// come often.
func BenchmarkRoundTripByDxForward(b *testing.B) {
	l, err := net.Listen("unix", socketPath(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	tool, url, entry := buildTool(b, "-O2"), urlOf(b, "shm"), socketPath(b)
	forward(b, tool, "-connect", "unix:"+l.Addr().String(), url)
	forward(b, tool, "-listen", "unix:"+entry, url)
	for _, way := range []struct{ name, socket string }{{"without", l.Addr().String()}, {"through", entry}} {
		b.Run(way.name, func(b *testing.B) {
			c, err := net.Dial("unix", way.socket)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			for b.Loop() {
				mustWrite(b, c, "1")
				mustRead(b, c, "1")
			}
		})
	}
}
