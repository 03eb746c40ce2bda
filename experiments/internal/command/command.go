// SPDX-License-Identifier: Apache-2.0

// Package command is how every experiment's program begins and ends: the role
// that it may have to play, its flags, Ctrl-C, and its exit code.
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"dx/experiments/internal/peer"
	"dx/experiments/internal/result"
)

// Exit codes.
const (
	OK          = 0
	Failed      = 1
	Usage       = 2
	Interrupted = 130
)

// Main runs an experiment and does not return. A process that was started in a role is
// that and nothing else. parse reads the flags; after -h it returns
// flag.ErrHelp, and any other error of it is the user's. act measures until the
// context ends by Ctrl-C or SIGTERM, and returns an exit code.
func Main[C any](name string, parse func(args []string, stderr io.Writer) (C, error),
	act func(context.Context, C) int) {
	peer.Become()
	os.Exit(run(name, os.Args[1:], os.Stderr, parse, act))
}

// Into is Main for an experiment that leaves its results in a folder: act begins when they can be
// written there.
func Into[C any](name string, parse func(args []string, stderr io.Writer) (C, error), out func(C) string,
	act func(context.Context, C) int) {
	Main(name, parse, func(ctx context.Context, c C) int {
		if err := result.PrepareDir(out(c)); err != nil {
			fmt.Fprintf(os.Stderr, "%s: -out: %v\n", name, err)
			return Usage
		}
		return act(ctx, c)
	})
}

func run[C any](name string, args []string, stderr io.Writer,
	parse func(args []string, stderr io.Writer) (C, error), act func(context.Context, C) int) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return OK
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return Usage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return act(ctx, c)
}

// Code is the exit code of an experiment that ended with err, which it prints;
// after an interruption it prints kept instead, which says what was saved.
func Code(ctx context.Context, name string, err error, kept string) int {
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(os.Stderr, "%s: interrupted; %s\n", name, kept)
		return Interrupted
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return Failed
	}
	return OK
}
