// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"dx/vm/machine"
)

// Kernel is what a guest boots: an image, and the modules that belong to it.
type Kernel struct {
	Image   string // vmlinux or bzImage, on aarch64 an Image
	Modules string // folder of the modules, /lib/modules/VERSION; empty: none are known
}

// Environment variables.
const (
	// KernelEnv names a kernel to boot instead of Debian's in guests of this machine's architecture. It
	// needs the serial ports, devtmpfs, tmpfs and initramfs built in. ModulesEnv names the folder of its
	// modules.
	KernelEnv  = "DX_VM_KERNEL"
	ModulesEnv = "DX_VM_MODULES"
	// CacheEnv names the folder that keeps kernels, instead of dx/vm in the user's cache folder.
	CacheEnv = "DX_VM_CACHE"
)

// debianName is what Debian calls an architecture.
var debianName = map[machine.Arch]string{machine.X8664: "amd64", machine.AArch64: "arm64"}

// FindKernel returns the kernel that KernelEnv names, or Debian's cloud kernel: the one in the cache,
// the one that is installed, or the package as apt fetches it, for which no root is needed. say is
// told of what takes seconds; it may be nil.
func FindKernel(ctx context.Context, arch machine.Arch, say func(string)) (Kernel, error) {
	if path := os.Getenv(KernelEnv); path != "" && arch == machine.HostArch() {
		if _, err := os.Stat(path); err != nil {
			return Kernel{}, fmt.Errorf("%s: %w", KernelEnv, err)
		}
		return Kernel{Image: path, Modules: os.Getenv(ModulesEnv)}, nil
	}
	debian, known := debianName[arch]
	if !known {
		return Kernel{}, fmt.Errorf("no kernel is known for the architecture %q", arch)
	}
	cache, err := cacheFolder()
	if err != nil {
		return Kernel{}, err
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return Kernel{}, err
	}
	defer unlock()
	if k, err := newest(cache, debian); err == nil {
		return k, nil
	}
	if say == nil {
		say = func(string) {}
	}
	if err := fill(ctx, cache, debian, say); err != nil {
		return Kernel{}, err
	}
	return newest(cache, debian)
}

func cacheFolder() (string, error) {
	folder := os.Getenv(CacheEnv)
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no place for the guest's kernel (set %s): %w", CacheEnv, err)
		}
		folder = filepath.Join(user, "dx", "vm")
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("no place for the guest's kernel: %w", err)
	}
	return folder, nil
}

// lock lets one process at a time fill the cache; the kernel drops it with a process that dies.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}

const (
	cachedPrefix = "linux-" // of a folder that is complete: it got its name last
	imageName    = "image"
	modulesName  = "modules"
)

// newest returns the latest kernel in the cache for an architecture.
func newest(cache, debian string) (Kernel, error) {
	folders, err := filepath.Glob(filepath.Join(cache, cachedPrefix+"*-"+debian, imageName))
	if err != nil || len(folders) == 0 {
		return Kernel{}, errors.New("the cache holds no kernel")
	}
	slices.SortFunc(folders, func(a, b string) int { return modified(b).Compare(modified(a)) })
	folder := filepath.Dir(folders[0])
	return Kernel{Image: folders[0], Modules: filepath.Join(folder, modulesName)}, nil
}

// fill puts a kernel into the cache.
func fill(ctx context.Context, cache, debian string, say func(string)) error {
	if images, _ := filepath.Glob("/boot/vmlinuz-*-cloud-" + debian); len(images) > 0 {
		slices.Sort(images)
		if keep(cache, "/", images[len(images)-1]) == nil { // it may be unreadable for us
			return nil
		}
	}
	unpacked, err := os.MkdirTemp(cache, "unpacked-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unpacked) }()
	if err := fetchKernel(ctx, unpacked, debian, say); err != nil {
		return fmt.Errorf("no kernel for the guest: %w\nOn Debian, install linux-image-cloud-%s; "+
			"elsewhere, let %s name a kernel, for a guest of this machine's architecture", err, debian, KernelEnv)
	}
	images, _ := filepath.Glob(filepath.Join(unpacked, "boot", "vmlinuz-*"))
	if len(images) != 1 {
		return fmt.Errorf("the kernel's package holds %d kernels", len(images))
	}
	return keep(cache, unpacked, images[0])
}

// keep copies a kernel, unpacked if it can be, and its modules to the cache.
func keep(cache, root, image string) error {
	version := strings.TrimPrefix(filepath.Base(image), "vmlinuz-")
	packed, err := os.ReadFile(image)
	if err != nil {
		return err
	}
	kernel, err := vmlinux(packed)
	if err != nil {
		kernel = packed
	}
	making, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(making) }()
	if err := os.WriteFile(filepath.Join(making, imageName), kernel, 0o600); err != nil {
		return err
	}
	modules := filepath.Join(making, modulesName)
	if err := os.CopyFS(modules, os.DirFS(modulesOf(root, version))); err != nil {
		return fmt.Errorf("the kernel's modules: %w", err)
	}
	place := filepath.Join(cache, cachedPrefix+version)
	if err := os.RemoveAll(place); err != nil {
		return err
	}
	return os.Rename(making, place)
}

// modulesOf is the folder of modules below root: Debian may have it in either place.
func modulesOf(root, version string) string {
	folder := filepath.Join(root, "lib", "modules", version, "kernel")
	if _, err := os.Stat(folder); err != nil {
		folder = filepath.Join(root, "usr", "lib", "modules", version, "kernel")
	}
	return folder
}
