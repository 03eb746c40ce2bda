// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// The guest's shell is bash; any other must do as well.
func TestTheSessionTellsASignalByItsExitCode(t *testing.T) {
	for _, shell := range []string{"bash", "sh"} {
		for command, want := range map[string]int{
			"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15, "kill -SEGV $$": 128 + 11, "kill -KILL $$": 128 + 9,
		} {
			script := sessionScript(filepath.Join(t.TempDir(), "program"), []string{"sh", "-c", command})
			err := exec.Command(shell, "-c", script).Run()
			code := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitCode() // -1: the shell itself was ended by the signal
			} else if err != nil {
				t.Fatal(err)
			}
			if code != want {
				t.Errorf("%s, %q: exit code %d, expected %d", shell, command, code, want)
			}
		}
	}
}
