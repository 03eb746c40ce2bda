// SPDX-License-Identifier: Apache-2.0

package command

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Flags returns the empty flags of an experiment. -h prints usage, a text that teaches, before their
// list.
func Flags(name, usage string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	return fs
}

// Parse reads them; after -h it returns flag.ErrHelp. What is no flag is an error.
func Parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("argument %q is not a flag; see -h", fs.Arg(0))
	}
	return nil
}

// Names is Parse for flags that stand between names of files, which it returns.
func Names(fs *flag.FlagSet, args []string) (names []string, err error) {
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if args = fs.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	return names, nil
}

// Folder returns out, or the default folder of the results of this experiment's run if it is empty.
func Folder(out, name string) string {
	if out != "" {
		return out
	}
	return "out/" + name + "-" + time.Now().Format("20060102-150405")
}

// Within is an error unless the value of a flag lies between two others, which are allowed.
func Within[T int | float64 | time.Duration](name string, value, low, high T) error {
	if value >= low && value <= high { // and no NaN
		return nil
	}
	return fmt.Errorf("-%s %v: %v to %v", name, value, low, high)
}

// OneOf is an error unless the value of a flag is one of those.
func OneOf(name, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("-%s %q is none of: %s", name, value, strings.Join(allowed, ", "))
}
