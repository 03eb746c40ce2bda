// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestHowAnExperimentEnds(t *testing.T) {
	wrong := errors.New("-runs 0: at least 1")
	for _, c := range []struct {
		name string
		err  error // of the flags
		code int
		says string
	}{
		{"help is no error", flag.ErrHelp, OK, ""},
		{"wrong flags", wrong, Usage, "test: -runs 0: at least 1\n"},
		{"what the experiment says", nil, 7, ""},
	} {
		var stderr strings.Builder
		parse := func([]string, io.Writer) (int, error) { return 7, c.err }
		code := run("test", nil, &stderr, parse, func(_ context.Context, code int) int { return code })
		if code != c.code || stderr.String() != c.says {
			t.Errorf("%s: code %d, want %d; it says %q, want %q", c.name, code, c.code, stderr.String(), c.says)
		}
	}
}

func TestCtrlCEndsTheContextAndNotTheProcess(t *testing.T) {
	parse := func([]string, io.Writer) (struct{}, error) { return struct{}{}, nil }
	code := run("test", nil, io.Discard, parse, func(ctx context.Context, _ struct{}) int {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		return Code(ctx, "test", nil, "nothing was to be kept")
	})
	if code != Interrupted {
		t.Errorf("code %d, want %d", code, Interrupted)
	}
	if code := Code(context.Background(), "test", nil, ""); code != OK {
		t.Errorf("no error: code %d", code)
	}
	if code := Code(context.Background(), "test", errors.New("told by a test"), ""); code != Failed {
		t.Errorf("an error: code %d", code)
	}
}
