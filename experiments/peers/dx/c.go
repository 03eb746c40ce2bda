// SPDX-License-Identifier: Apache-2.0

package main

/*
#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra
#cgo LDFLAGS: -lpthread -Wl,--unresolved-symbols=ignore-all
#include <stdlib.h>
#include "../c/peer.h"
*/
import "C"

import (
	"unsafe"

	_ "dx/libdx" // brings the objects of the C library
)

// mainInC is main of the program in C.
func mainInC(args []string) int {
	pointers := (*[1 << 16]*C.char)(C.calloc(C.size_t(len(args)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	for i, arg := range args {
		pointers[i] = C.CString(arg)
	}
	return int(C.peer_main(C.int(len(args)), &pointers[0]))
}
