// SPDX-License-Identifier: Apache-2.0

// Dx is dx itself as one of the peers, in C and in Go. A way is LANGUAGE-WAIT: c or go, and a preset of
// the wait strategy, or "parked", which never spins.
package main

import (
	"os"
	"slices"
	"strings"

	"dx/experiments/peers/contract"
)

func main() {
	at := slices.Index(os.Args, "-way")
	if at >= 0 && at+1 < len(os.Args) && strings.HasPrefix(os.Args[at+1], "c-") {
		os.Exit(mainInC(os.Args))
	}
	contract.Main(contract.Peer{Serve: serve, Open: open, Close: closeHost})
}
