/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_hardware.h"

#include <stddef.h>

#include "atomic.h"
#include "dx_wait.h"

static const struct dx_hardware none = {"pause", NULL};

#if defined(__x86_64__)
/* A2 <- R2, A3 <- R3: as every look, though whoever waits looks again. */
static inline bool is_news(const _Atomic uint64_t *word, uint64_t value, bool until_equal)
{
    return (dx_load_acquire(word) == value) == until_equal;
}
#endif

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>

#define LEAF7_ECX_WAITPKG (1u << 5)
#define EXTENDED_ECX_MWAITX (1u << 29)
#define C0_1 1u         /* the lighter of UMWAIT's two states: it is left sooner */
#define MWAITX_TIMER 2u /* EBX holds a limit */
#define MWAITX_C0 0xf0u /* hint: no C-state */

__attribute__((target("waitpkg"))) static void umwait(const _Atomic uint64_t *word, uint64_t value,
                                                      bool until_equal)
{
    _umonitor((void *)word);
    if (!is_news(word, value, until_equal))
        (void)_umwait(C0_1, __rdtsc() + DX_HARDWARE_TICKS);
}

__attribute__((target("mwaitx"))) static void mwaitx(const _Atomic uint64_t *word, uint64_t value,
                                                     bool until_equal)
{
    _mm_monitorx((void *)word, 0, 0);
    if (!is_news(word, value, until_equal))
        _mm_mwaitx(MWAITX_TIMER, MWAITX_C0, DX_HARDWARE_TICKS);
}

struct dx_hardware dx_hardware_of(uint32_t leaf7_ecx, uint32_t extended_ecx)
{
    if ((leaf7_ecx & LEAF7_ECX_WAITPKG) != 0)
        return (struct dx_hardware){"umwait", umwait};
    if ((extended_ecx & EXTENDED_ECX_MWAITX) != 0)
        return (struct dx_hardware){"mwaitx", mwaitx};
    return none;
}

static struct dx_hardware find(void)
{
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx7 = 0;
    uint32_t ecx_extended = 0;
    uint32_t edx;
    /* Each fails, and leaves what is there, where the CPU has no such leaf. */
    (void)__get_cpuid_count(7, 0, &eax, &ebx, &ecx7, &edx);
    (void)__get_cpuid(0x80000001u, &eax, &ebx, &ecx_extended, &edx);
    return dx_hardware_of(ecx7, ecx_extended);
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

#ifndef HWCAP_EVTSTRM
#define HWCAP_EVTSTRM (1ul << 2)
#endif

static void wfe(const _Atomic uint64_t *word, uint64_t value, bool until_equal)
{
    uint64_t seen;
    /* The exclusive load watches the line: a store there is an event. */
    __asm__ volatile("ldaxr %0, [%1]" : "=r"(seen) : "r"(word) : "memory");
    if ((seen == value) != until_equal)
        __asm__ volatile("wfe" ::: "memory");
}

struct dx_hardware dx_hardware_of(uint32_t leaf7_ecx, uint32_t extended_ecx)
{
    (void)leaf7_ecx;
    (void)extended_ecx;
    return none;
}

static struct dx_hardware find(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_EVTSTRM) != 0 ? (struct dx_hardware){"wfe", wfe} : none;
}

#else
struct dx_hardware dx_hardware_of(uint32_t leaf7_ecx, uint32_t extended_ecx)
{
    (void)leaf7_ecx;
    (void)extended_ecx;
    return none;
}

static struct dx_hardware find(void)
{
    return none;
}
#endif

struct dx_hardware (*dx_hardware_find)(void) = find;

const char *dx_wait_hardware(void)
{
    return dx_hardware_find().name;
}
