/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock for short times. The time-stamp counter takes a third of the time of the system's clock;
 * it is used where the CPU says that its rate is constant, once it was seen beside that clock for
 * long enough to know the rate.
 */
#ifndef DX_TICKS_H
#define DX_TICKS_H

#include <stdint.h>

#include "clock.h"

/* How to make ns of what dx_ticks returns: ticks * scale / 2^32. 0: it returns ns. */
typedef uint64_t dx_ticks_scale;

/* Notes when the process was here; the first call counts. */
void dx_ticks_begin(void);

/* The scale that is known now. */
dx_ticks_scale dx_ticks_find_scale(void);

static inline uint64_t dx_ticks_raw(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

static inline uint64_t dx_ticks(dx_ticks_scale scale)
{
    return scale != 0 ? dx_ticks_raw() : (uint64_t)dx_clock_ns();
}

/* The time between two ticks in ns; 0 if the second was before the first. */
static inline uint64_t dx_ticks_between(dx_ticks_scale scale, uint64_t from, uint64_t to)
{
    uint64_t ticks = to - from;
    if (ticks > UINT64_MAX / 2)
        return 0;
    return scale != 0 ? (ticks >> 32) * scale + ((ticks & UINT32_MAX) * scale >> 32) : ticks;
}

#endif
