// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// fileMax is far above any kernel, module or busybox.
const fileMax = 256 << 20

// kernel takes the kernel out of root.tar, and what the initrd is made of.
func (b *builder) kernel(ctx context.Context) error {
	b.progress.Step("making the initrd", time.Second)
	image, err := b.extract(func(name string) bool {
		return strings.HasPrefix(name, "boot/vmlinuz-") || name == "usr/bin/busybox" ||
			strings.HasSuffix(name, "/modules.dep")
	})
	if err != nil {
		return err
	}
	var vmlinuz, busybox, dep, folder string
	for name := range image {
		switch {
		case strings.HasPrefix(name, "boot/"):
			vmlinuz = name
		case path.Base(name) == "modules.dep":
			dep, folder = name, path.Dir(name)
		default:
			busybox = name
		}
	}
	if vmlinuz == "" || busybox == "" || dep == "" {
		return errors.New("the packages brought no kernel, no modules.dep or no busybox")
	}
	order, err := moduleOrder(string(image[dep]), rootModules)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, file := range order {
		wanted[path.Join(folder, file)] = true
	}
	modules, err := b.extract(func(name string) bool { return wanted[name] })
	if err != nil {
		return err
	}
	list := make([]module, 0, len(order))
	for _, file := range order {
		data, ok := modules[path.Join(folder, file)]
		if !ok {
			return fmt.Errorf("module %s is not there", file)
		}
		list = append(list, module{file, data})
	}
	if err := os.WriteFile(filepath.Join(b.result, "vmlinuz"), image[vmlinuz], 0o644); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(b.result, "initrd"))
	if err != nil {
		return err
	}
	return errors.Join(writeInitrd(out, image[busybox], list), out.Close(), ctx.Err())
}

// extract returns the regular files of root.tar that are chosen.
func (b *builder) extract(choose func(name string) bool) (map[string][]byte, error) {
	f, err := os.Open(b.path("root.tar"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	found := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("root.tar: %w", err)
		}
		name := path.Clean(header.Name)
		if header.Typeflag != tar.TypeReg || !choose(name) {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(r, fileMax))
		if err != nil {
			return nil, fmt.Errorf("root.tar: %w", err)
		}
		found[name] = data
	}
}
