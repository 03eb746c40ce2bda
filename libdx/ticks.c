/* SPDX-License-Identifier: Apache-2.0 */
#include "ticks.h"

#include <stdbool.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "atomic.h"

/* The rate is known to 0.01 % then, if each clock was read within 1 us of the other. */
#define KNOWN_AFTER_NS 10000000

static _Atomic uint64_t first_ticks;
static _Atomic int64_t first_ns;
static _Atomic uint64_t known; /* the scale; 0: not yet */

static bool rate_is_constant(void)
{
    bool constant = false;
#if defined(__x86_64__)
    uint32_t a;
    uint32_t b;
    uint32_t c;
    uint32_t d = 0;
    constant = __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0;
#elif defined(__aarch64__)
    constant = true;
#endif
    return constant;
}

void dx_ticks_begin(void)
{
    int64_t none = 0;
    uint64_t before = 0;
    uint64_t ticks = dx_ticks_raw();
    int64_t now = dx_clock_ns();
    /* Relaxed: who comes second has nothing to do. */
    if (dx_load_relaxed(&first_ns) != 0 || ticks == 0 || !rate_is_constant())
        return;
    if (dx_cas_relaxed(&first_ticks, &before, ticks)) /* relaxed: R19 publishes it */
        (void)dx_cas_seqcst(&first_ns, &none, now);   /* R19 -> A19: the ticks of that time */
}

dx_ticks_scale dx_ticks_find_scale(void)
{
    /* Relaxed: a number. */
    uint64_t scale = dx_load_relaxed(&known);
    int64_t since = dx_load_acquire(&first_ns); /* A19 <- R19: its ticks */
    if (scale != 0 || since == 0)
        return scale;
    uint64_t ticks = dx_ticks_raw();
    int64_t now = dx_clock_ns();
    ticks -= dx_load_relaxed(&first_ticks); /* relaxed: A19 */
    if (now - since < KNOWN_AFTER_NS || ticks == 0)
        return 0;
    long double ratio = (long double)(now - since) / (long double)ticks;
    scale = (uint64_t)(ratio * 4294967296.0L);
    dx_store_relaxed(&known, scale); /* relaxed: any of those that were found will do */
    return scale;
}
