/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a store in hardware (DX_RELAX_HARDWARE): the CPU is told which line to watch, and
 * rests until somebody writes there or some time has passed. A core that rests so leaves its power
 * and its execution units to others, and sees the store as soon as the line moves.
 *
 *   umwait  Intel, WAITPKG: UMONITOR, UMWAIT in C0.1 with a deadline
 *   mwaitx  AMD: MONITORX, MWAITX with its timer
 *   wfe     Arm: LDAXR, WFE; ended at the latest by the kernel's event stream (100 us), and not
 *           used where the kernel has none
 *
 * When a channel opens, libdx finds out which one the CPU has. If it has none, a rest is PAUSE.
 */
#ifndef DX_WAIT_HARDWARE_H
#define DX_WAIT_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

/* Longest rest on x86, in ticks of the time-stamp counter: 1.2 to 2.5 us at 4 to 2 GHz. A store
 * that no monitor saw, whatever the reason, is seen then. */
#define DX_HARDWARE_TICKS 5000u

/*
 * Rests until *word may be news: it equals `value` (until_equal) or differs from it. It looks once
 * after the monitor is set, so that it misses no store before that. It may end early for any
 * reason.
 */
typedef void dx_hardware_wait(const _Atomic uint64_t *word, uint64_t value, bool until_equal);

struct dx_hardware {
    const char *name;       /* "pause" where there is nothing */
    dx_hardware_wait *wait; /* NULL where there is nothing */
};

/* Returns what this CPU has. It is a pointer, so that a test can put another answer in its place.
 */
extern struct dx_hardware (*dx_hardware_find)(void);

/* The registers of cpuid that decide on x86: leaf 7 ECX, leaf 0x80000001 ECX. */
struct dx_hardware dx_hardware_of(uint32_t leaf7_ecx, uint32_t extended_ecx);

#endif
