// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dx/experiments/peers/contract"
	"dx/go/dx"
)

// patience is how long one side waits for the other to come.
const patience = time.Minute

// host is the client's side; the server is the guest.
var host *dx.Channel

// url names the region by the folder.
func url(o contract.Options) string { return "shm:" + filepath.Base(o.At) }

// waitOf is the strategy that a way names.
func waitOf(way string) (dx.Wait, error) {
	name, ok := strings.CutPrefix(way, "go-")
	if !ok {
		return dx.Wait{}, fmt.Errorf("-way %s: there is no such way", way)
	}
	if name != "parked" {
		return dx.Preset(name)
	}
	w, err := dx.Preset("balanced")
	w.SpinMin, w.SpinMax, w.SpinStart, w.SpinInc, w.SpinDec = 0, 0, 0, 0, 0
	w.YieldEvery, w.Burst, w.Adapt = 0, 0, dx.AdaptOff
	return w, err
}

func serve(o contract.Options) (end func(), err error) {
	wait, err := waitOf(o.Way)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			if err := serveHost(url(o), wait); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(contract.CodeFailed)
			}
		}
	}()
	return func() {}, nil // it closes whenever its host has
}

// serveHost serves one host to its end.
func serveHost(url string, wait dx.Wait) error {
	guest, err := dx.Attach(context.Background(), url, dx.Options{Wait: &wait})
	if err != nil {
		return err
	}
	err = guest.Serve(context.Background(), dx.HandlerFunc(echo))
	if errors.Is(err, dx.ErrPeerClosed) || errors.Is(err, dx.ErrPeerDead) {
		err = nil
	}
	return errors.Join(err, guest.Close())
}

func echo(q *dx.Request, response []byte) (int, int32) { return copy(response, q.Data), 0 }

func open(o contract.Options, caller int) (contract.Call, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if caller == 0 {
		wait, err := waitOf(o.Way)
		if err != nil {
			return nil, err
		}
		host, err = dx.Create(url(o), dx.Config{Slots: o.Callers, RequestBytes: o.Payload, ResponseBytes: o.Payload,
			Options: dx.Options{Wait: &wait}})
		if err == nil {
			err = host.WaitPeer(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	c, err := host.OpenCaller(ctx)
	if err != nil {
		return nil, err
	}
	forever := context.Background()
	return func(request, response []byte) error {
		_, err := c.Call(forever, dx.TypeUser, request, response)
		return err
	}, nil
}

func closeHost() error { return host.Close() }
