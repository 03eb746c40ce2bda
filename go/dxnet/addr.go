// SPDX-License-Identifier: Apache-2.0

package dxnet

import "fmt"

// network is what Addr.Network returns, and what errors say.
const network = "dx"

// Addr is the address of a listener, or of a connection. Both ends of a connection have
// the same one, but for the URL, which may differ between a virtual machine and its host.
type Addr struct {
	URL   string
	Place int // of the guest; -1: the address of a listener, or of nothing yet
	Slot  int // of the connection
}

// Network returns "dx".
func (a Addr) Network() string { return network }

// String returns the URL, followed for a connection by its place and its slot, as in
// "shm:demo#0.3".
func (a Addr) String() string {
	if a.Place < 0 {
		return a.URL
	}
	return fmt.Sprintf("%s#%d.%d", a.URL, a.Place, a.Slot)
}

func addrOf(url string) Addr { return Addr{URL: url, Place: -1} }
