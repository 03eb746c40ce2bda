// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"

	"dx/experiments/internal/affinity"
	"dx/experiments/internal/frame"
	"dx/go/dx"
	"dx/internal/child"
	"dx/libdx"
)

// guestEnv makes this program a guest: it holds a guestConfig.
const guestEnv = "DX_FRAMES_GUEST"

// guestConfig is what a guest must know to meet its host. Sizes, counts and what is
// to be done come over the channel.
type guestConfig struct {
	URL  string
	CPUs []int `json:",omitempty"`
	Wait dx.Wait
}

func isGuest() bool { return os.Getenv(guestEnv) != "" }

// guestMain is the guest process: it says "ready" on standard output and serves
// until the host closes. It returns the exit code.
func guestMain() int {
	signal.Ignore(os.Interrupt) // the parent ends us
	if err := guestRun(); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		return 1
	}
	return 0
}

func guestRun() error {
	var g guestConfig
	if err := json.Unmarshal([]byte(os.Getenv(guestEnv)), &g); err != nil {
		return fmt.Errorf("%s: %w", guestEnv, err)
	}
	if len(g.CPUs) > 0 {
		if err := affinity.Pin(g.CPUs); err != nil {
			return err
		}
	}
	if err := g.Wait.Check(); err != nil {
		return err
	}
	wait := libdx.WaitOf(g.Wait)
	return frame.Serve(g.URL, &wait, 1)
}

// startGuest starts this program again as the guest of a host's region; fd is the
// region's descriptor, which a memfd hands over.
func startGuest(ctx context.Context, g guestConfig, fd int) (*child.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	if g.URL == "memfd:" {
		url, done, err := child.PassRegion(cmd, fd)
		if err != nil {
			return nil, err
		}
		defer done()
		g.URL = url
	}
	text, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), guestEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	return child.StartReady(ctx, cmd)
}
