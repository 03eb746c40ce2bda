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

// func Prefetch(p unsafe.Pointer)
TEXT ·Prefetch(SB), NOSPLIT, $0-8
	MOVQ       p+0(FP), AX
	PREFETCHT0 (AX)
	RET

// func Ticks() uint64
TEXT ·Ticks(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	PAUSE
	RET

// func Scan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count uint32) uint32
TEXT ·Scan(SB), NOSPLIT, $0-44
	MOVQ word+0(FP), AX
	MOVQ stride+8(FP), BX
	MOVQ seen+16(FP), CX
	MOVQ seenStride+24(FP), SI
	MOVL count+32(FP), DI
	XORL DX, DX

slot:
	CMPL DX, DI
	JCC  done
	MOVQ (AX), R8
	CMPQ R8, (CX)
	JNE  done
	ADDQ BX, AX
	ADDQ SI, CX
	INCL DX
	JMP  slot

done:
	MOVL DX, ret+40(FP)
	RET

// func AwaitScan(word *uint64, stride uintptr, seen *uint64, seenStride uintptr, count, looks uint32, data unsafe.Pointer, dataStride uintptr) (look, index uint32)
TEXT ·AwaitScan(SB), NOSPLIT, $0-64
	MOVQ word+0(FP), AX
	MOVQ stride+8(FP), BX
	MOVQ seen+16(FP), CX
	MOVQ seenStride+24(FP), SI
	MOVL count+32(FP), DI
	MOVL looks+36(FP), R9
	XORL R10, R10

round:
	CMPL R10, R9
	JCC  none
	INCL R10
	PAUSE
	MOVQ AX, R11
	MOVQ CX, R12
	XORL DX, DX

slot:
	CMPL DX, DI
	JCC  round
	MOVQ (R11), R8
	CMPQ R8, (R12)
	JNE  found
	ADDQ BX, R11
	ADDQ SI, R12
	INCL DX
	JMP  slot

found:
	MOVQ       dataStride+48(FP), AX
	IMULQ      DX, AX
	ADDQ       data+40(FP), AX
	PREFETCHT0 (AX)
	MOVL R10, look+56(FP)
	MOVL DX, index+60(FP)
	RET

none:
	MOVL $0, look+56(FP)
	MOVL DI, index+60(FP)
	RET
