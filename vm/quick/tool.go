// SPDX-License-Identifier: Apache-2.0

package quick

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// BuildTool compiles the program dx from the sources of this module, statically, so that it runs in
// a guest as well as here. This process must have been started within the module's checkout. CC
// names the compiler, cc if unset.
func BuildTool(ctx context.Context, path string) error {
	text, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "dx/libdx").Output()
	if err != nil {
		return fmt.Errorf("the sources of dx are not found, start this within its checkout: %w", err)
	}
	folder := strings.TrimSpace(string(text))
	args := []string{"-O2", "-static", "-D_GNU_SOURCE", "-std=c11", "-o", path}
	for _, pattern := range []string{"*.c", "tools/*.c", "tools/mapping/*.c"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no sources of dx in %s: %w", folder, err)
		}
		args = append(args, files...)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if said, err := exec.CommandContext(ctx, cc, append(args, "-lpthread", "-lrt")...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile dx: %w\n%s", err, said)
	}
	return nil
}
