// SPDX-License-Identifier: Apache-2.0

// Package command is how every experiment's program begins and ends: the guest
// that it may have to be, its flags, Ctrl-C, and its exit code.
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
