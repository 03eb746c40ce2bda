// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"

	"dx/experiments/internal/boundary"
	"dx/experiments/internal/peer"
)

// What the host asks of the guest on a connection: an order, then what it says. Each order is a byte
// and a number of bytes, in little-endian order.
const (
	orderEcho    = iota + 1 // send back each byte until one is endEcho
	orderUp                 // send so many bytes
	orderDown               // take so many bytes, and then say taken
	orderCompare            // as orderDown, and say wrong if they are not content
)

const (
	orderBytes = 9
	endEcho    = 0
	taken      = 'k'
	wrong      = 'x'
)

// content is what all transfers carry, again and again.
var content = func() []byte {
	block := make([]byte, 64<<10)
	random := rand.NewChaCha8([32]byte{'d', 'x'})
	_, _ = random.Read(block)
	return block
}()

// guest is what a program in the machine is told.
type guest struct {
	Address string // to dial; empty: the virtio-serial port
	Conns   int
}

var guestRole = peer.Of("forward-guest", serveGuest)

// serveGuest opens the connections and obeys on each until the host ends it.
func serveGuest(g guest) error {
	conns := make([]io.ReadWriteCloser, g.Conns)
	for i := range conns {
		var err error
		if conns[i], err = g.open(); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	errs := make([]error, len(conns))
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() {
			errs[i] = obeyAll(c)
			_ = c.Close()
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (g guest) open() (io.ReadWriteCloser, error) {
	if g.Address == "" {
		fd, err := boundary.OpenSerial()
		return os.NewFile(uintptr(fd), "port"), err
	}
	network, address, _ := strings.Cut(g.Address, ":")
	return net.Dial(network, address)
}

// obeyAll returns at the end of what comes.
func obeyAll(c io.ReadWriter) error {
	buffer := make([]byte, len(content))
	for {
		var order [orderBytes]byte
		if _, err := io.ReadFull(c, order[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := obey(c, order[0], int64(binary.LittleEndian.Uint64(order[1:])), buffer); err != nil {
			return err
		}
	}
}

func obey(c io.ReadWriter, order byte, n int64, buffer []byte) error {
	switch order {
	case orderEcho:
		return echo(c)
	case orderUp:
		return send(c, n)
	case orderDown, orderCompare:
		same, err := take(c, n, buffer, order == orderCompare)
		if err != nil {
			return err
		}
		answer := byte(taken)
		if !same {
			answer = wrong
		}
		_, err = c.Write([]byte{answer})
		return err
	}
	return fmt.Errorf("order %d is not known", order)
}

func echo(c io.ReadWriter) error {
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		if _, err := c.Write(b); err != nil || b[0] == endEcho {
			return err
		}
	}
}

// send sends n bytes of content.
func send(c io.Writer, n int64) error {
	for n > 0 {
		sent, err := c.Write(content[:min(n, int64(len(content)))])
		if err != nil {
			return err
		}
		n -= int64(sent)
	}
	return nil
}

// take takes n bytes, and says whether they are content.
func take(c io.Reader, n int64, buffer []byte, compare bool) (same bool, err error) {
	same = true
	for n > 0 {
		part := buffer[:min(n, int64(len(buffer)))]
		if compare {
			_, err = io.ReadFull(c, part)
			same = same && bytes.Equal(part, content[:len(part)])
		} else {
			var got int
			got, err = c.Read(part)
			part = part[:got]
		}
		if err != nil {
			return false, err
		}
		n -= int64(len(part))
	}
	return same, nil
}

// give sends an order.
func give(c io.Writer, order byte, n int64) error {
	_, err := c.Write(binary.LittleEndian.AppendUint64([]byte{order}, uint64(n)))
	return err
}
