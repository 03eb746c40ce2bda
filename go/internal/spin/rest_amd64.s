// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// Go's assembler knows none of the four instructions; a test reads the bytes back
// with objdump. The limit is that of libdx/wait_hardware.h, in ticks of the time-stamp counter.
#define TICKS 5000
#define UMONITOR_RAX BYTE $0xF3; BYTE $0x0F; BYTE $0xAE; BYTE $0xF0
#define UMWAIT_ECX BYTE $0xF2; BYTE $0x0F; BYTE $0xAE; BYTE $0xF1
#define MONITORX BYTE $0x0F; BYTE $0x01; BYTE $0xFA
#define MWAITX BYTE $0x0F; BYTE $0x01; BYTE $0xFB

// func cpuid(leaf uint32) (eax, ecx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-16
	MOVL leaf+0(FP), AX
	XORL CX, CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL CX, ecx+12(FP)
	RET

// func umwait(word *uint64, value uint64, untilEqual bool)
TEXT ·umwait(SB), NOSPLIT, $0-17
	MOVQ    word+0(FP), AX
	MOVQ    value+8(FP), BX
	MOVBLZX untilEqual+16(FP), SI
	UMONITOR_RAX
	XORL    DI, DI
	CMPQ    BX, (AX)
	SETEQ   DI
	CMPL    DI, SI
	JEQ     news
	RDTSC
	SHLQ    $32, DX
	ADDQ    DX, AX
	ADDQ    $TICKS, AX
	MOVQ    AX, DX
	SHRQ    $32, DX
	MOVL    $1, CX // C0.1: the lighter state, which is left sooner
	UMWAIT_ECX

news:
	RET

// func mwaitx(word *uint64, value uint64, untilEqual bool)
TEXT ·mwaitx(SB), NOSPLIT, $0-17
	MOVQ    word+0(FP), AX
	MOVQ    value+8(FP), R8
	MOVBLZX untilEqual+16(FP), SI
	MOVQ    AX, R9
	XORL    CX, CX
	XORL    DX, DX
	MONITORX
	XORL    DI, DI
	CMPQ    R8, (R9)
	SETEQ   DI
	CMPL    DI, SI
	JEQ     news
	MOVL    $0xf0, AX // no C-state
	MOVL    $2, CX    // BX holds a limit
	MOVL    $TICKS, BX
	MWAITX

news:
	RET
