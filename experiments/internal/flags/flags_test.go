// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"errors"
	"flag"
	"strings"
	"testing"
)

func TestFlagsTeachAndTakeNoArguments(t *testing.T) {
	var said strings.Builder
	fs := New("demo", "demo shows.\n", &said)
	n := fs.Int("n", 1, "how many")
	if err := Parse(fs, []string{"-h"}); !errors.Is(err, flag.ErrHelp) || !strings.HasPrefix(said.String(), "demo shows.\n") ||
		!strings.Contains(said.String(), "how many") {
		t.Errorf("%v, %q", err, said.String())
	}
	if err := Parse(fs, []string{"-n", "3"}); err != nil || *n != 3 {
		t.Errorf("%v, %d", err, *n)
	}
	if err := Parse(fs, []string{"stray"}); err == nil || !strings.Contains(err.Error(), `"stray"`) {
		t.Error(err)
	}
	if Folder("mine", "demo") != "mine" || !strings.HasPrefix(Folder("", "demo"), "out/demo-") {
		t.Error(Folder("", "demo"))
	}
}
