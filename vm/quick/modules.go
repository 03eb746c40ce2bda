// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// moduleFiles returns the files of these modules and of all that they depend on, in an order in
// which they can be loaded. A module is named as modprobe names it: vfio-pci and vfio_pci are one.
func moduleFiles(folder string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if folder == "" {
		return nil, fmt.Errorf("modules are wanted, but not where they are: set %s", ModulesEnv)
	}
	byName := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".ko") {
			byName[moduleName(strings.TrimSuffix(entry.Name(), ".ko"))] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("modules: %w", err)
	}
	var order []string
	for _, name := range names {
		if err := addModule(&order, byName, name, 0); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// Has is an error unless the kernel's modules are known and these are among them.
func (k Kernel) Has(modules ...string) error {
	_, err := moduleFiles(k.Modules, modules)
	return err
}

func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// addModule appends what the module needs, then itself.
func addModule(order *[]string, byName map[string]string, name string, depth int) error {
	path, found := byName[moduleName(name)]
	if !found {
		return fmt.Errorf("the kernel has no module %s", name)
	}
	if depth > 32 || slices.Contains(*order, path) {
		return nil
	}
	needs, err := dependencies(path)
	if err != nil {
		return fmt.Errorf("module %s: %w", path, err)
	}
	for _, need := range needs {
		if err := addModule(order, byName, need, depth+1); err != nil {
			return err
		}
	}
	*order = append(*order, path)
	return nil
}

// dependencies reads what a module itself says it needs.
func dependencies(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("it has no .modinfo")
	}
	data, err := section.Data()
	if err != nil {
		return nil, err
	}
	for line := range bytes.SplitSeq(data, []byte{0}) {
		if list, found := strings.CutPrefix(string(line), "depends="); found && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
