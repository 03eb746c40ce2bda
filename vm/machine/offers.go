// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Offers is an error unless the QEMU of this machine's architecture is here and has a device of that name.
func Offers(ctx context.Context, device string) error {
	program := HostArch().Program()
	path, err := HostArch().lookUp()
	if err != nil {
		return err
	}
	list, err := exec.CommandContext(ctx, path, "-device", "help").Output()
	if err != nil {
		return fmt.Errorf("the devices of %s: %w", program, err)
	}
	if !strings.Contains(string(list), fmt.Sprintf("name %q", device)) {
		return fmt.Errorf("%s has no device %s: it was built without it", program, device)
	}
	return nil
}
