// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cavaliergopher/cpio"
)

type quiet struct{ parts []float64 }

func (*quiet) Step(string, time.Duration) {}
func (q *quiet) Done(part float64)        { q.parts = append(q.parts, part) }

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	dep := "kernel/blk.ko: kernel/ring.ko kernel/bus.ko\nkernel/ring.ko:\nkernel/bus.ko: kernel/ring.ko\n" +
		"kernel/virtio-pci.ko: kernel/bus.ko\n"
	order, err := moduleOrder(dep, []string{"virtio_pci", "blk"})
	want := []string{"kernel/ring.ko", "kernel/bus.ko", "kernel/virtio-pci.ko", "kernel/blk.ko"}
	if err != nil || !slices.Equal(order, want) {
		t.Error(order, err)
	}
	if _, err := moduleOrder(dep, []string{"absent"}); err == nil {
		t.Error("a module that is not there was found")
	}
}

func TestInitrdHoldsModulesInOrder(t *testing.T) {
	var out bytes.Buffer
	err := writeInitrd(&out, []byte("bb"), []module{{"k/a.ko", []byte("A")}, {"k/b.ko", []byte("B")}})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for r := cpio.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name] = string(data)
	}
	if found["order"] != "0-a.ko\n1-b.ko\n" || found["0-a.ko"] != "A" || found["bin/busybox"] != "bb" || found["init"] != initScript {
		t.Errorf("%q", found)
	}
	if err := writeInitrd(io.Discard, nil, []module{{"k/a.ko.xz", nil}}); err == nil {
		t.Error("a compressed module was taken")
	}
}

func TestSeedSaysWhoMayLogIn(t *testing.T) {
	seed := Seed{Name: "a", Instance: "1", PublicKey: "ssh-ed25519 AAAA: #\n", HostKey: "-----\nx\n", HostPublic: "pub"}
	text, err := seed.userData()
	if err != nil || !bytes.HasPrefix(text, []byte("#cloud-config\n")) {
		t.Fatalf("%s %v", text, err)
	}
	var d userData
	if err := json.Unmarshal(text[len("#cloud-config\n"):], &d); err != nil {
		t.Fatal(err)
	}
	if u := d.Users[0]; u.Name != User || u.Keys[0] != "ssh-ed25519 AAAA: #" || !strings.Contains(u.Sudo, "NOPASSWD") {
		t.Errorf("%+v", u)
	}
	if d.Keys["ed25519_private"] != seed.HostKey || len(d.Packages) > 0 || d.Update || len(d.Run) > 0 {
		t.Errorf("%+v", d)
	}
	seed.Packages = Image{}.Packages()
	if text, err = seed.userData(); err != nil || !bytes.Contains(text, []byte(`"gcc"`)) || !bytes.Contains(text, []byte(Incomplete)) {
		t.Errorf("%s %v", text, err)
	}
}

func TestRecipeChangesTheName(t *testing.T) {
	if recipeID(nil) == recipeID([]string{"http://mirror"}) || recipeID(nil) != recipeID(nil) {
		t.Error("the name says nothing")
	}
}

func TestPackagesAreCounted(t *testing.T) {
	q := &quiet{}
	c := packageCounter{progress: q}
	c.line("0 upgraded, 300 newly installed, 0 to remove and 0 not upgraded.")
	for range 300 {
		c.line("Unpacking x (1.0) ...")
		c.line("noise")
	}
	c.line("Setting up x (1.0) ...")
	if last := q.parts[len(q.parts)-1]; last < 0.5 || last > 0.51 || !slices.IsSorted(q.parts) {
		t.Error(last)
	}
}

func TestDownloadIsKeptWholeOrNotAtAll(t *testing.T) {
	asked, whole := 0, false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Length", "4")
		if whole {
			_, _ = w.Write([]byte("disk"))
			return
		}
		_, _ = w.Write([]byte("di"))
	}))
	defer server.Close()
	cache := t.TempDir()
	from, err := url.Parse(server.URL + "/a;b.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	if file, err := download(context.Background(), cache, from, &quiet{}); err == nil {
		t.Error("half a file became", file)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "*qcow2*")); left != nil {
		t.Error(left)
	}
	whole = true
	for range 2 {
		file, err := download(context.Background(), cache, from, &quiet{})
		if err != nil || !strings.HasSuffix(file, "-a_b.qcow2") {
			t.Fatal(file, err)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "disk" {
			t.Errorf("%q %v", text, err)
		}
	}
	if asked != 2 {
		t.Errorf("the server was asked %d times", asked)
	}
}

func TestSweepRemovesWhatIsUnfinishedAndNothingElse(t *testing.T) {
	cache := t.TempDir()
	old := filepath.Join(cache, unfinished+"1", "tmp")
	if err := os.MkdirAll(old, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(cache, "debian-12-x")
	if err := os.Mkdir(mine, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := sweepCache(cache); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 1 || left[0].Name() != "debian-12-x" {
		t.Error(left, err)
	}
	if !mountedBelow("1 2 3:4 / /a/b/c rw - x y z", "/a/b") || mountedBelow("1 2 3:4 / /a/bc rw - x y z", "/a/b") {
		t.Error("mounts are not told apart")
	}
}

func TestToolThatIsInterruptedEndsWithItsChildren(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		// The inner shell holds the pipe as long as it lives.
		ended <- run(ctx, job{args: []string{"sh", "-c", "echo started; sh -c 'tail -f /dev/null'; true"}, stdout: w})
	}()
	if _, err := r.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_ = w.Close()
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

func TestToolsThatAreMissingAreNamedWithTheirPackages(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	packageOf["no-such-tool"] = "its-package"
	defer delete(packageOf, "no-such-tool")
	if err := Need("no-such-tool"); err == nil || !strings.Contains(err.Error(), "install --no-install-recommends its-package") {
		t.Error(err)
	}
}
