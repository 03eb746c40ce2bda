// SPDX-License-Identifier: Apache-2.0

#include "textflag.h"

// func wfe(word *uint64, value uint64, untilEqual bool)
TEXT ·wfe(SB), NOSPLIT, $0-17
	MOVD  word+0(FP), R0
	MOVD  value+8(FP), R1
	MOVBU untilEqual+16(FP), R2
	LDAXR (R0), R3            // watches the line: a store there is an event
	CMP   R1, R3
	CSET  EQ, R4
	CMP   R2, R4
	BEQ   news
	WFE

news:
	RET
