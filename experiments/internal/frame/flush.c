/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying the caches of some memory, by whatever the CPU has for it. */
#include "memory.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum frame_flush memory_flush_kind(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 23)))
        return FRAME_FLUSH_CLFLUSHOPT;
    if (__get_cpuid(1, &a, &b, &c, &d) && (d & (1u << 19)))
        return FRAME_FLUSH_CLFLUSH;
    return FRAME_FLUSH_EVICT;
}

static void flush_lines(const char *at, const char *end, enum frame_flush kind)
{
    for (; at < end && kind == FRAME_FLUSH_CLFLUSHOPT; at += FRAME_STEP)
        __asm__ volatile("clflushopt (%0)" ::"r"(at) : "memory");
    for (; at < end; at += FRAME_STEP)
        __asm__ volatile("clflush (%0)" ::"r"(at) : "memory");
    __asm__ volatile("mfence" ::: "memory");
}

#elif defined(__aarch64__)

enum frame_flush memory_flush_kind(void)
{
    return FRAME_FLUSH_CIVAC;
}

static void flush_lines(const char *at, const char *end, enum frame_flush kind)
{
    (void)kind;
    for (; at < end; at += FRAME_STEP)
        __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb sy" ::: "memory");
}

#else

enum frame_flush memory_flush_kind(void)
{
    return FRAME_FLUSH_EVICT;
}

static void flush_lines(const char *at, const char *end, enum frame_flush kind)
{
    (void)at;
    (void)end;
    (void)kind;
}

#endif

/* Larger than the caches of most machines; a result says that it was evicted and not flushed. It is
 * mapped for as long as that takes, since flushing lies outside every timer. */
static void evict(void)
{
    const size_t bytes = (size_t)64 << 20;
    uint64_t loads;
    void *other = memory_map(bytes);
    if (other == NULL)
        return;
    memory_write(other, bytes, 1);
    (void)memory_read(other, bytes, &loads);
    memory_unmap(other, bytes);
}

void memory_flush(const void *at, size_t bytes)
{
    enum frame_flush kind = memory_flush_kind();
    if (kind == FRAME_FLUSH_EVICT)
        evict();
    else
        flush_lines(at, (const char *)at + bytes, kind);
}
