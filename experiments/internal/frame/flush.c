/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying the caches of some memory, by whatever the CPU has for it. */
#include "memory.h"

#if defined(__aarch64__)

enum frame_flush memory_flush_kind(void)
{
    return FRAME_FLUSH_CIVAC;
}

void memory_flush(const void *at, size_t bytes)
{
    const char *line = at;
    for (const char *end = line + bytes; line < end; line += FRAME_STEP)
        __asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
    __asm__ volatile("dsb sy" ::: "memory");
}

#else

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

void memory_flush(const void *at, size_t bytes)
{
    const char *line = at;
    const char *end = line + bytes;
    switch (memory_flush_kind()) {
    case FRAME_FLUSH_CLFLUSHOPT:
        for (; line < end; line += FRAME_STEP)
            __asm__ volatile("clflushopt (%0)" ::"r"(line) : "memory");
        break;
    case FRAME_FLUSH_CLFLUSH:
        for (; line < end; line += FRAME_STEP)
            __asm__ volatile("clflush (%0)" ::"r"(line) : "memory");
        break;
    default:
        evict();
    }
    __asm__ volatile("mfence" ::: "memory");
}

#else

enum frame_flush memory_flush_kind(void)
{
    return FRAME_FLUSH_EVICT;
}

void memory_flush(const void *at, size_t bytes)
{
    (void)at;
    (void)bytes;
    evict();
}

#endif
#endif
