// SPDX-License-Identifier: Apache-2.0

// Package flags is what the flags of all experiments have in common: -h prints a text that teaches
// before it lists them, there are no arguments beside them, and results go to a folder of their own.
package flags

import (
	"flag"
	"fmt"
	"io"
	"time"
)

// New returns the empty flags of an experiment. usage comes before their list.
func New(name, usage string, stderr io.Writer) *flag.FlagSet {
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

// Folder returns out, or the default folder of the results of this experiment's run if it is empty.
func Folder(out, name string) string {
	if out != "" {
		return out
	}
	return "out/" + name + "-" + time.Now().Format("20060102-150405")
}
