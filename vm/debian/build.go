// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Image is what a guest boots from. Nothing in it is ever written to.
type Image struct {
	Disk   string `json:"disk"`
	Format string `json:"format"`           // qcow2 or raw
	Kernel string `json:"kernel,omitempty"` // empty: the disk has its own boot loader
	Initrd string `json:"initrd,omitempty"`
	Bytes  int64  `json:"bytes"` // of the disk as the guest sees it
	Built  bool   `json:"built"` // by Build: it has all packages and says by itself when it is ready
}

var buildTools = []string{"mmdebstrap", "mke2fs", "qemu-img", "tar", "unshare"}

// ToolsToBuild returns the tools that Build will use: none if the disk is there.
func ToolsToBuild(cache string, mirrors []string) []string {
	if _, err := builtIn(buildFolder(cache, mirrors)); err == nil {
		return nil
	}
	return buildTools
}

func buildFolder(cache string, mirrors []string) string {
	return filepath.Join(cache, "debian-12-"+recipeID(mirrors))
}

// Build returns the disk of Debian's packages, which it makes if the cache folder has none of this
// recipe. Mirrors are what mmdebstrap takes for one (a URI, or a file with lines of sources.list);
// none means Debian's own. An end of ctx leaves nothing behind.
func Build(ctx context.Context, cache string, mirrors []string, p Progress) (Image, error) {
	folder := buildFolder(cache, mirrors)
	if image, err := builtIn(folder); err == nil {
		return image, nil
	}
	unlock, err := lockCache(ctx, cache, p)
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	if image, err := builtIn(folder); err == nil {
		return image, nil // somebody else was faster
	}
	if err := Need(buildTools...); err != nil {
		return Image{}, err
	}
	if err := sweepCache(cache); err != nil {
		return Image{}, err
	}
	work, err := os.MkdirTemp(cache, unfinished)
	if err != nil {
		return Image{}, err
	}
	b := builder{work: work, result: filepath.Join(work, "result"), mirrors: mirrors, progress: p}
	err = b.build(ctx)
	if err == nil {
		err = os.Rename(b.result, folder)
	}
	if left := removeTree(work); err == nil && left != nil {
		err = left
	}
	if err != nil {
		return Image{}, fmt.Errorf("building the Debian disk: %w", err)
	}
	return builtIn(folder)
}

func builtIn(folder string) (Image, error) {
	image := Image{Disk: filepath.Join(folder, "disk.qcow2"), Format: "qcow2", Bytes: sizeMiB << 20,
		Kernel: filepath.Join(folder, "vmlinuz"), Initrd: filepath.Join(folder, "initrd"), Built: true}
	for _, path := range []string{image.Disk, image.Kernel, image.Initrd} {
		if _, err := os.Stat(path); err != nil {
			return Image{}, err
		}
	}
	return image, nil
}

// builder makes one disk in a folder of its own.
type builder struct {
	work, result string
	mirrors      []string
	progress     Progress
}

func (b *builder) path(name string) string { return filepath.Join(b.work, name) }

func (b *builder) build(ctx context.Context) error {
	// Hooks run as the root of a user namespace, who is a stranger to us outside of it.
	if err := os.Chmod(b.work, 0o755); err != nil {
		return err
	}
	for _, folder := range []string{b.result, b.path("files")} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
	}
	if err := os.Mkdir(b.path("tmp"), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(b.path("tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.bootstrap, b.kernel, b.fileSystem, b.compress} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bootstrap makes root.tar: a tar file keeps owners and modes for whoever is not root.
func (b *builder) bootstrap(ctx context.Context) error {
	b.progress.Step("installing Debian's packages", 70*time.Second)
	hooks, err := b.hooks()
	if err != nil {
		return err
	}
	args := []string{"mmdebstrap", "--mode=" + mode(), "--variant=minbase", "--format=tar", "--verbose",
		"--aptopt=APT::Install-Recommends \"false\"", "--include=" + strings.Join(packages(), ",")}
	for _, path := range unwanted {
		args = append(args, "--dpkgopt=path-exclude="+path)
	}
	args = append(append(args, hooks...), suite, "-")
	args = append(args, b.mirrors...)
	tar, err := os.Create(b.path("root.tar"))
	if err != nil {
		return err
	}
	counter := packageCounter{progress: b.progress}
	err = run(ctx, job{args: contained(args), env: []string{"TMPDIR=" + b.path("tmp")}, stdout: tar,
		line: counter.line})
	if closed := tar.Close(); err == nil {
		err = closed
	}
	return err
}

// hooks writes the recipe's files where mmdebstrap can copy them from.
func (b *builder) hooks() (hooks []string, err error) {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		from := b.path(filepath.Join("files", strconv.Itoa(i)))
		if err := os.WriteFile(from, []byte(files[name]), 0o644); err != nil {
			return nil, err
		}
		hooks = append(hooks, fmt.Sprintf("--customize-hook=upload %q %s", from, name))
	}
	return append(hooks, "--customize-hook="+prepare), nil
}

// mode is how mmdebstrap becomes root.
func mode() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return "unshare"
}

// contained makes a command of root's that leaves no process behind when it is killed, and no
// mount: both end with a namespace. mmdebstrap's unshare mode does the same by itself.
func contained(args []string) []string {
	if mode() != "root" {
		return args
	}
	return append([]string{"unshare", "--pid", "--mount", "--fork", "--kill-child", "--"}, args...)
}

// packageCounter reads off mmdebstrap's messages how far it is. Each package is unpacked and set up.
type packageCounter struct {
	progress    Progress
	total, done int
}

// stepsOfPackages is how many there are with this recipe, roughly: the essential packages come in a
// transaction of their own, which says nothing of the other one.
const stepsOfPackages = 480

func (c *packageCounter) line(text string) {
	switch f := strings.Fields(text); {
	case len(f) > 3 && f[1] == "upgraded," && f[3] == "newly":
		if n, err := strconv.Atoi(f[2]); err == nil {
			c.total += 2 * n
		}
	case len(f) > 1 && (f[0] == "Unpacking" || f[0] == "Setting" && f[1] == "up"):
		c.done++
	default:
		return
	}
	if c.total > 0 {
		c.progress.Done(min(1, float64(c.done)/float64(max(c.total, stepsOfPackages))))
	}
}

// fillScript makes the file system image of a tar file that it reads, and writes it to fd 1: it may
// run as a user who can write nowhere else. $1 is a folder for what is in between, $2 the size.
const fillScript = `set -eu
folder=$(mktemp -d "$1/root-XXXXXX")
disk=$(mktemp "$1/disk-XXXXXX")
tar --extract --numeric-owner --xattrs --directory="$folder"
PATH=$PATH:/usr/sbin:/sbin
mke2fs -q -F -t ext4 -L dx-root -O ^has_journal -E lazy_itable_init=1,root_owner=0:0 -d "$folder" "$disk" "$2" >&2
rm -rf "$folder"
cat "$disk"
rm -f "$disk"
`

func (b *builder) fileSystem(ctx context.Context) error {
	b.progress.Step("making the file system", 9*time.Second)
	tar, err := os.Open(b.path("root.tar"))
	if err != nil {
		return err
	}
	defer func() { _ = tar.Close() }()
	disk, err := os.Create(b.path("disk.raw"))
	if err != nil {
		return err
	}
	args := []string{"sh", "-c", fillScript, "sh", b.path("tmp"), fmt.Sprintf("%dM", sizeMiB)}
	if mode() != "root" {
		args = append([]string{"mmdebstrap", "--unshare-helper"}, args...)
	}
	err = run(ctx, job{args: contained(args), stdin: tar, stdout: disk})
	if closed := disk.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Remove(tar.Name())
	}
	return err
}

func (b *builder) compress(ctx context.Context) error {
	b.progress.Step("compressing the disk", 5*time.Second)
	return run(ctx, job{args: []string{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c",
		"-o", "compression_type=zstd", b.path("disk.raw"), filepath.Join(b.result, "disk.qcow2")}})
}
