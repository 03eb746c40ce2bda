// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"
	"golang.org/x/sys/unix"

	"dx/vm/machine"
)

// archive is an initramfs in the making: the guest's path of each file, and the host's.
type archive map[string]string

// addProgram adds an executable and, if it is not static, the loader and the libraries that it
// would use here, so that the same binary runs on both sides.
func (a archive) addProgram(guest, host string, arch machine.Arch) error {
	libraries, err := needed(host, arch)
	if err != nil {
		return fmt.Errorf("%s: %w", host, err)
	}
	a[guest] = host
	for _, library := range libraries {
		a[library] = library
	}
	return nil
}

// needed lists the loader and the libraries of a program as the loader itself finds them; nothing
// for a static one.
func needed(program string, arch machine.Arch) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if want := map[machine.Arch]elf.Machine{machine.X8664: elf.EM_X86_64, machine.AArch64: elf.EM_AARCH64}[arch]; f.Machine != want {
		return nil, fmt.Errorf("a program for %v: the guest's architecture is %s", f.Machine, arch)
	}
	loader := ""
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, err
			}
			loader = strings.TrimRight(string(text), "\x00")
		}
	}
	if loader == "" {
		return nil, nil
	}
	if arch != machine.HostArch() {
		return nil, fmt.Errorf("its libraries cannot be found, as %s runs no program for %s: link it statically",
			machine.HostArch(), arch)
	}
	list, err := exec.Command(loader, "--list", program).Output()
	if err != nil {
		return nil, fmt.Errorf("what libraries it needs: %w", err)
	}
	return append(libraryPaths(string(list)), loader), nil
}

// libraryPaths reads lines such as "libc.so.6 => /lib/libc.so.6 (0x7f...)".
func libraryPaths(list string) (paths []string) {
	for line := range strings.Lines(list) {
		if _, found, ok := strings.Cut(line, "=> "); ok {
			file, _, _ := strings.Cut(found, " (")
			if path.IsAbs(file) {
				paths = append(paths, strings.TrimSpace(file))
			}
		}
	}
	return paths
}

// file writes the archive into memory without a name, from which QEMU reads it. Written anew for
// each guest it takes less time than finding out by its content that an older one would do.
func (a archive) file() (*os.File, error) {
	fd, err := unix.MemfdCreate("initramfs", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "initramfs")
	buffered := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(a.write(buffered), buffered.Flush()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	return f, nil
}

func (a archive) write(to io.Writer) error {
	w := cpio.NewWriter(to)
	for _, folder := range a.folders() {
		header := cpio.Header{Name: folder, Mode: cpio.TypeDir | 0o755}
		if err := w.WriteHeader(&header); err != nil {
			return err
		}
	}
	guestPaths := make([]string, 0, len(a))
	for guest := range a {
		guestPaths = append(guestPaths, guest)
	}
	slices.Sort(guestPaths)
	for _, guest := range guestPaths {
		if err := writeFile(w, strings.TrimPrefix(guest, "/"), a[guest]); err != nil {
			return err
		}
	}
	return w.Close()
}

// folders lists what the kernel must make before the files, parents first.
func (a archive) folders() []string {
	all := []string{"dev", "proc", "sys", "tmp"}
	for guest := range a {
		for dir := path.Dir(guest); dir != "/" && dir != "."; dir = path.Dir(dir) {
			all = append(all, strings.TrimPrefix(dir, "/"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func writeFile(w *cpio.Writer, guest, host string) error {
	f, err := os.Open(host)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	s, err := f.Stat()
	if err != nil {
		return err
	}
	header := cpio.Header{Name: guest, Mode: cpio.TypeReg | cpio.FileMode(s.Mode().Perm()), Size: s.Size()}
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
