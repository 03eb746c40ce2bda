// SPDX-License-Identifier: Apache-2.0

// Count touches fresh memory and prints what it counted meanwhile.
package main

import (
	"encoding/json"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"dx/experiments/internal/counters"
)

func main() {
	runtime.LockOSThread()
	set := counters.Open(counters.Thread)
	before := set.Sample()
	const bytes = 4 << 20
	memory, err := unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil || unix.Madvise(memory, unix.MADV_NOHUGEPAGE) != nil {
		os.Exit(1)
	}
	for i := 0; i < bytes; i += os.Getpagesize() {
		memory[i] = 1
	}
	if json.NewEncoder(os.Stdout).Encode(set.Since(before)) != nil {
		os.Exit(1)
	}
}
