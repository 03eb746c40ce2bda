// SPDX-License-Identifier: Apache-2.0

// Package adder is the exchange that the tests of machines make: who serves answers every number
// with the next one, and both sides sleep at once.
package adder

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"dx/go/dx"
)

// Patience is for one step on a loaded machine, under translated code.
const Patience = time.Hour

// Bytes of each request and each answer.
const Bytes = 8

// PeerTimeout is for how long a heartbeat may stand still. On a machine that others use, translated code
// may get no CPU for a second.
const PeerTimeout = 5 * time.Second

// Sleeper is a strategy that sleeps at once, and for a minute if nobody rings.
func Sleeper() *dx.Wait {
	w, err := dx.Preset("balanced")
	if err != nil {
		panic(err) // cannot be: the library has it
	}
	w.SpinMin, w.SpinStart, w.SpinMax, w.Adapt = 0, 0, 0, dx.AdaptOff
	w.ParkTimeoutNs = int64(time.Minute)
	w.PeerTimeoutNs = int64(PeerTimeout)
	return &w
}

// Attach becomes the guest, of a device that is bound first if bind says so.
func Attach(url string, bind bool, path dx.Path) (*dx.Channel, error) {
	if bind {
		if err := dx.BindDevice(url); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return dx.Attach(ctx, url, dx.Options{Wait: Sleeper(), Path: path})
}

// Serve answers until the host closes, and closes the channel.
func Serve(ch *dx.Channel) error {
	err := ch.Serve(context.Background(), dx.HandlerFunc(func(q *dx.Request, response []byte) (int, int32) {
		binary.LittleEndian.PutUint64(response, binary.LittleEndian.Uint64(q.Data)+1)
		return Bytes, 0
	}))
	if errors.Is(err, dx.ErrPeerClosed) {
		err = nil
	}
	return errors.Join(err, ch.Close())
}

// Call makes one verified call.
func Call(ch *dx.Channel, n uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	var request, response [Bytes]byte
	binary.LittleEndian.PutUint64(request[:], n)
	reply, err := ch.Call(ctx, dx.TypeUser, request[:], response[:])
	if err == nil && binary.LittleEndian.Uint64(reply.Data) != n+1 {
		err = fmt.Errorf("call %d was answered %x", n, reply.Data)
	}
	return err
}
