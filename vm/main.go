// SPDX-License-Identifier: Apache-2.0

// Vm brings a Debian guest with an ivshmem device up, runs programs in it, and takes it down. See
// vm/vm -h and docs/vm.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"dx/vm/lifecycle"
	"dx/vm/quick"
)

// Exit codes. What ssh and run return is the program's own, but for these three: 125 if it was not
// run at all, 255 if ssh failed, 3 if the guest is down.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDown        = 3
	exitBusy        = 4
	exitNotRun      = 125
	exitInterrupted = 130
)

const usage = `vm brings a Debian 12 guest with an ivshmem device up, and programs into it.

  vm up [flags]                    bring it up, or say that it is; returns when one can log in
  vm ssh [-name N] [COMMAND...]    a shell in it, or one command
  vm run [-name N] PROGRAM [ARG...]  copy a program of this machine into it, run it there
  vm status [-name N] [-json]      whether it is up, and what it is
  vm down [-name N]                take it down; nothing of it is left, what it wrote is gone
  vm accel                         what runs a guest's code here, kvm, hvf or tcg, by booting one

"vm VERB -h" explains the flags of each. A first session:

  vm up -region 16M && vm ssh lspci -nn && vm run ./my-static-program; vm down

The program here and the one there meet in the region: here it is the file that status names, there
the device 1af4:1110. The first up builds a disk from Debian's packages (about 80 s, kept in the
cache folder); -image takes a cloud image of yours instead.

Exit codes: 0 done (up: also if it was up before; down: also if it was down), 1 failed, 2 wrong
usage, 3 the guest is down, 4 another vm command is at work on it, 130 interrupted. ssh and run
return what the command returned; 125 if run could not run it, 255 if ssh failed.
`

// keeperVerb is what up starts itself with.
const keeperVerb = "_keeper"

func main() {
	quick.Init() // in the guest that tries an accelerator, this program is init
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(exitUsage)
	}
	verb, args := os.Args[1], os.Args[2:]
	switch verb {
	case keeperVerb:
		os.Exit(lifecycle.Keep())
	case "-h", "-help", "--help", "help":
		fmt.Print(usage)
		os.Exit(exitOK)
	}
	verbs := map[string]func(context.Context, []string) error{
		"up": up, "down": down, "ssh": ssh, "run": run, "status": status, "accel": accel}
	do := verbs[verb]
	if do == nil {
		fmt.Fprintf(os.Stderr, "vm: no verb %q: up, ssh, run, status, down or accel; vm -h explains\n", verb)
		os.Exit(exitUsage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := do(ctx, args)
	stop()
	os.Exit(explain(verb, err))
}

// usageError is a command line that is wrong.
type usageError struct{ error }

// codeError ends the program with a code, and without a word.
type codeError int

func (c codeError) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// explain prints an error and returns the exit code.
func explain(verb string, err error) int {
	var wrong usageError
	var code codeError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(os.Stderr, "vm %s: %v\n", verb, err)
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "vm %s -h explains.\n", verb)
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, lifecycle.ErrBusy):
		return exitBusy
	case errors.Is(err, lifecycle.ErrDown):
		return exitDown
	case verb == "run":
		return exitNotRun
	}
	return exitFailed
}

// flags returns the flags of a verb about one guest, with the one that all those have.
func flags(verb, explanation string) (*flag.FlagSet, *string) {
	fs := newFlags(verb, explanation)
	name := fs.String("name", "dx", "which `guest`, if you have several; its host name, too")
	return fs, name
}

func newFlags(verb, explanation string) *flag.FlagSet {
	fs := flag.NewFlagSet("vm "+verb, flag.ContinueOnError)
	fs.SetOutput(os.Stderr)
	fs.Usage = func() {
		fs.SetOutput(os.Stdout)
		fmt.Print(strings.TrimLeft(explanation, "\n"))
		fs.PrintDefaults()
		fmt.Print("\nEach flag can be given by the environment, too: -region as DX_VM_REGION; -mode also as IVSHMEM_MODE.\n")
	}
	return fs
}

// parse reads flags from the environment and then from the arguments, which win.
func parse(fs *flag.FlagSet, args []string) error {
	var wrong error
	fs.VisitAll(func(f *flag.Flag) {
		names := []string{"DX_VM_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))}
		if f.Name == "mode" {
			names = append(names, "IVSHMEM_MODE")
		}
		for _, name := range names {
			if value := os.Getenv(name); value != "" && wrong == nil {
				if err := fs.Set(f.Name, value); err != nil {
					wrong = fmt.Errorf("%s=%s: %w", name, value, err)
				}
			}
		}
	})
	if wrong != nil {
		return usageError{wrong}
	}
	out := fs.Output()
	fs.SetOutput(discard{}) // explain prints the error
	err := fs.Parse(args)
	fs.SetOutput(out)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return usageError{err}
	}
	return err
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// folder returns the folder of a guest by its name.
func folder(name string) (lifecycle.Folder, error) {
	f, err := lifecycle.FolderOf(name)
	if err != nil {
		return f, usageError{err}
	}
	return f, nil
}
