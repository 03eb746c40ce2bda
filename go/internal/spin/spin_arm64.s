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

// func Prefetch(p unsafe.Pointer)
TEXT ·Prefetch(SB), NOSPLIT, $0-8
	MOVD p+0(FP), R0
	PRFM (R0), PLDL1KEEP
	RET

// func Ticks() uint64
TEXT ·Ticks(SB), NOSPLIT, $0-8
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	YIELD
	RET

// func Scan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count uint32) uint32
TEXT ·Scan(SB), NOSPLIT, $0-44
	MOVD  word+0(FP), R0
	MOVD  stride+8(FP), R1
	MOVD  seen+16(FP), R2
	MOVD  seenStride+24(FP), R3
	MOVWU count+32(FP), R4
	MOVD  $0, R5

slot:
	CMPW R4, R5
	BHS  done
	LDAR (R0), R6
	MOVD (R2), R7
	CMP  R6, R7
	BNE  done
	ADD  R1, R0
	ADD  R3, R2
	ADDW $1, R5
	B    slot

done:
	MOVW R5, ret+40(FP)
	RET

// func AwaitScan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count, looks uint32, data unsafe.Pointer, dataStride uintptr) (look, index uint32)
TEXT ·AwaitScan(SB), NOSPLIT, $0-64
	MOVD  word+0(FP), R0
	MOVD  stride+8(FP), R1
	MOVD  seen+16(FP), R2
	MOVD  seenStride+24(FP), R3
	MOVWU count+32(FP), R4
	MOVWU looks+36(FP), R8
	MOVD  $0, R9

round:
	CMPW R8, R9
	BHS  none
	ADDW $1, R9
	YIELD
	MOVD R0, R10
	MOVD R2, R11
	MOVD $0, R5

slot:
	CMPW R4, R5
	BHS  round
	LDAR (R10), R6
	MOVD (R11), R7
	CMP  R6, R7
	BNE  found
	ADD  R1, R10
	ADD  R3, R11
	ADDW $1, R5
	B    slot

found:
	MOVD dataStride+48(FP), R10
	MOVD data+40(FP), R11
	MADD R5, R11, R10, R11
	PRFM (R11), PLDL1KEEP
	MOVW R9, look+56(FP)
	MOVW R5, index+60(FP)
	RET

none:
	MOVW ZR, look+56(FP)
	MOVW R4, index+60(FP)
	RET
