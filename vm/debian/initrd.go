// SPDX-License-Identifier: Apache-2.0

package debian

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/cavaliergopher/cpio"

	"dx/vm/machine"
)

// rootModules are what stands between the kernel and its disk: ext4 is built into the cloud kernel.
var rootModules = []string{"virtio_pci", "virtio_blk"}

// initScript is all that the initrd does. The device appears when the driver has probed, which may
// be later than insmod's return, and a disk that never comes ends the guest with a panic that the
// host sees.
const initScript = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs devtmpfs /dev
$b mount -t sysfs sysfs /sys
for cpu in ` + machine.OnlineCPUs + `; do [ ! -f "$cpu" ] || echo 1 >"$cpu"; done
$b umount /sys
while read -r module; do $b insmod "/$module"; done </order
tries=0
until $b mount -t ext4 /dev/vda /root; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || { echo "no root file system on /dev/vda"; exit 1; }
	$b sleep 0.1
done
$b umount /dev
exec $b switch_root /root /sbin/init
`

// module is one kernel module of the initrd.
type module struct {
	path string // as modules.dep names it
	data []byte
}

// moduleOrder returns the paths of those modules and of all that they need, each before whoever
// needs it, according to the text of modules.dep.
func moduleOrder(dep string, names []string) ([]string, error) {
	needs := map[string][]string{}
	byName := map[string]string{}
	for _, line := range strings.Split(dep, "\n") {
		file, rest, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		needs[file] = strings.Fields(rest)
		name, _, _ := strings.Cut(path.Base(file), ".")
		byName[strings.ReplaceAll(name, "-", "_")] = file
	}
	var order []string
	seen := map[string]bool{}
	var add func(file string)
	add = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		for _, other := range needs[file] {
			add(other)
		}
		order = append(order, file)
	}
	for _, name := range names {
		file, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("the kernel has no module %s", name)
		}
		add(file)
	}
	return order, nil
}

// writeInitrd writes a cpio archive with busybox, the modules in the order of their loading, and
// initScript.
func writeInitrd(out io.Writer, busybox []byte, modules []module) error {
	w := cpio.NewWriter(out)
	var failed error
	add := func(name string, mode cpio.FileMode, data []byte) {
		if failed == nil {
			failed = w.WriteHeader(&cpio.Header{Name: name, Mode: mode, Size: int64(len(data))})
		}
		if failed == nil && len(data) > 0 {
			_, failed = w.Write(data)
		}
	}
	for _, folder := range []string{"bin", "dev", "root", "sys"} {
		add(folder, cpio.TypeDir|0o755, nil)
	}
	var order bytes.Buffer
	for i, m := range modules {
		if !strings.HasSuffix(m.path, ".ko") {
			return fmt.Errorf("module %s is compressed, which the initrd's insmod cannot read", m.path)
		}
		name := fmt.Sprintf("%d-%s", i, path.Base(m.path))
		fmt.Fprintln(&order, name)
		add(name, cpio.TypeReg|0o644, m.data)
	}
	add("order", cpio.TypeReg|0o644, order.Bytes())
	add("bin/busybox", cpio.TypeReg|0o755, busybox)
	add("init", cpio.TypeReg|0o755, []byte(initScript))
	if failed != nil {
		return fmt.Errorf("initrd: %w", failed)
	}
	return w.Close()
}
