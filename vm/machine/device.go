// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// FindDevice returns, in a guest, the sysfs folder of its first ivshmem device.
func FindDevice() (folder string, err error) {
	folders, err := filepath.Glob("/sys/bus/pci/devices/*")
	for _, folder := range folders {
		if Attribute(folder, "vendor") == "0x1af4" && Attribute(folder, "device") == "0x1110" {
			return folder, nil
		}
	}
	return "", errors.Join(err, errors.New("this machine has no ivshmem device (PCI 1af4:1110)"))
}

// Attribute reads a file of a sysfs folder, without the space around its text; empty if there is none.
func Attribute(folder, name string) string {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
