// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func Until(word *uint64, want uint64, looks uint32) uint32
TEXT ·Until(SB), NOSPLIT, $0-28
	MOVD  word+0(FP), R0
	MOVD  want+8(FP), R1
	MOVWU looks+16(FP), R2
	MOVD  $0, R3

look:
	CMPW R2, R3
	BHS  none
	ADDW $1, R3
	LDAR (R0), R4
	CMP  R1, R4
	BEQ  found
	YIELD
	B    look

found:
	MOVW R3, ret+24(FP)
	RET

none:
	MOVW ZR, ret+24(FP)
	RET

// func UntilHot(word *uint64, want uint64, looks uint32) uint32
TEXT ·UntilHot(SB), NOSPLIT, $0-28
	MOVD  word+0(FP), R0
	MOVD  want+8(FP), R1
	MOVWU looks+16(FP), R2
	MOVD  $0, R3

look:
	CMPW R2, R3
	BHS  none
	ADDW $1, R3
	LDAR (R0), R4
	CMP  R1, R4
	BNE  look
	MOVW R3, ret+24(FP)
	RET

none:
	MOVW ZR, ret+24(FP)
	RET

// func StoreRelease(word *uint64, value uint64)
TEXT ·StoreRelease(SB), NOSPLIT, $0-16
	MOVD word+0(FP), R0
	MOVD value+8(FP), R1
	STLR R1, (R0)
	RET

// func Fence()
TEXT ·Fence(SB), NOSPLIT, $0-0
	DMB $0xb
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	YIELD
	RET
