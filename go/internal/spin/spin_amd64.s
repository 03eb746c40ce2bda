// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// x86 orders loads among loads and stores among stores, so that a plain load is
// an acquire and a plain store a release.

// func Until(word *uint64, want uint64, looks uint32) uint32
TEXT ·Until(SB), NOSPLIT, $0-28
	MOVQ word+0(FP), AX
	MOVQ want+8(FP), BX
	MOVL looks+16(FP), CX
	XORL DX, DX

look:
	CMPL DX, CX
	JCC  none
	INCL DX
	CMPQ BX, (AX)
	JEQ  found
	PAUSE
	JMP  look

found:
	MOVL DX, ret+24(FP)
	RET

none:
	MOVL $0, ret+24(FP)
	RET

// func UntilHot(word *uint64, want uint64, looks uint32) uint32
TEXT ·UntilHot(SB), NOSPLIT, $0-28
	MOVQ word+0(FP), AX
	MOVQ want+8(FP), BX
	MOVL looks+16(FP), CX
	XORL DX, DX

look:
	CMPL DX, CX
	JCC  none
	INCL DX
	CMPQ BX, (AX)
	JNE  look
	MOVL DX, ret+24(FP)
	RET

none:
	MOVL $0, ret+24(FP)
	RET

// func StoreRelease(word *uint64, value uint64)
TEXT ·StoreRelease(SB), NOSPLIT, $0-16
	MOVQ word+0(FP), AX
	MOVQ value+8(FP), BX
	MOVQ BX, (AX)
	RET

// func Fence()
TEXT ·Fence(SB), NOSPLIT, $8-0
	LOCK
	ORQ $0, (SP)
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	PAUSE
	RET
