// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"flag"
	"math"
	"strings"
	"testing"
	"time"
)

func TestFlagsTeachAndTakeNoArguments(t *testing.T) {
	var said strings.Builder
	fs := Flags("demo", "demo shows.\n", &said)
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
	between := Flags("demo", "", &said)
	k := between.Int("k", 1, "")
	if names, err := Names(between, []string{"a", "-k", "2", "b"}); err != nil || strings.Join(names, " ") != "a b" || *k != 2 {
		t.Errorf("%v, %v, %d", names, err, *k)
	}
}

func TestBoundsAreAllowed(t *testing.T) {
	for _, err := range []error{Within("n", 1, 1, 3), Within("n", 3, 1, 3), Within("d", time.Second, 0, time.Minute), OneOf("x", "b", "a", "b")} {
		if err != nil {
			t.Error(err)
		}
	}
	for want, err := range map[string]error{"-n 0: 1 to 3": Within("n", 0, 1, 3), "-r NaN: 0 to 5": Within("r", math.NaN(), 0, 5),
		`-x "c" is none of: a, b`: OneOf("x", "c", "a", "b")} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
