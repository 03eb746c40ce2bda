// SPDX-License-Identifier: Apache-2.0

package dxnet

import (
	"strings"

	"dx/go/dx"
)

const (
	// StreamType is the type of the streams that are connections.
	StreamType uint32 = 0x6e63
	// Hello is the byte with which the listening side takes up a connection.
	Hello byte = 1
)

// Side says which side of the channel a program is.
type Side int

// The values.
const (
	SideAuto  Side = iota // who listens is the host, unless the URL is one for guests only
	SideHost              // creates the channel
	SideGuest             // attaches to it
)

// What a zero Config means.
const (
	connsDefault  = 64
	bufferDefault = 32 << 10
	guestsDefault = 4
)

// Config is what a side can choose. The zero value is what [Listen] and [Dial] use.
type Config struct {
	// Side says which side of the channel this program is.
	Side Side
	// Conns is how many connections a guest has at once; 0 means 64. The host chooses it.
	Conns int
	// Buffer is how many bytes can be under way in each direction of a connection; 0 means
	// 32 KiB. The host chooses it.
	Buffer int
	// Guests is how many processes or virtual machines can be connected to a listener at
	// once, from 1 to 30; 0 means 4, and 1 for memfd:. The host chooses it. The memory of a
	// listener has some Guests * Conns * 2 * Buffer bytes, 16 MiB if all of them are 0.
	Guests int
	// Options are those of the channel. Path must be dx.PathNative.
	Options dx.Options
}

// host says whether a program is the host of the channel.
func (c Config) host(url string, listens bool) bool {
	switch c.Side {
	case SideHost:
		return true
	case SideGuest:
		return false
	}
	return listens && !strings.HasPrefix(url, "ivshmem:") &&
		(!strings.HasPrefix(url, "memfd:") || url == "memfd:")
}

func orDefault(value, other int) int {
	if value == 0 {
		return other
	}
	return value
}

func (c Config) guests(url string) int {
	if strings.HasPrefix(url, "memfd:") {
		return orDefault(c.Guests, 1)
	}
	return orDefault(c.Guests, guestsDefault)
}

// channel is the channel of a host, on which either side dials.
func (c Config) channel(hostDials bool) dx.Config {
	buffer, conns := orDefault(c.Buffer, bufferDefault), orDefault(c.Conns, connsDefault)
	config := dx.Config{RequestBytes: buffer, ResponseBytes: buffer, Options: c.Options}
	if hostDials {
		config.Slots = conns
	} else {
		config.GuestSlots = conns
	}
	return config
}
