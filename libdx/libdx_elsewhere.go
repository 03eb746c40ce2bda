// SPDX-License-Identifier: Apache-2.0

//go:build !linux && cgo

package libdx

// Here the go tool compiles the C files whatever we say. This header stops each of
// them, and with it the build, at a sentence that says what to do.

// #cgo CFLAGS: -include ${SRCDIR}/dx_export.h
import "C"
