/* SPDX-License-Identifier: Apache-2.0 */
#include "loops.h"

#include <string.h>

#include "../../clock.h"

typedef uint64_t vector16 __attribute__((vector_size(16)));
typedef uint64_t vector32 __attribute__((vector_size(32)));
typedef uint64_t vector64 __attribute__((vector_size(64)));

#if defined(__x86_64__)
#define X86_64 1
#define TARGET(features) __attribute__((target(features)))
#define REGISTER "x"
#else
#define X86_64 0
#define REGISTER "w"
#endif

/* Waits until stores that are on their way are where others see them. It orders nothing between
 * threads: what is timed shall only not end before its last store has. */
static void drain(void)
{
#if X86_64
    __asm__ volatile("sfence" ::: "memory");
#elif defined(__aarch64__)
    __asm__ volatile("dsb st" ::: "memory");
#endif
}

static bool always(void)
{
    return true;
}

/* None lies across two pages of code: an emulator pays for each jump from one to the other, which
 * would be taken for the cost of memory. */
#define IN_ONE_PAGE __attribute__((aligned(512)))

/* Volatile accesses are made as they are written; what they load is combined in a register, which
 * the empty instruction at the end takes. */
#define LOADS(name, attributes, type, count, constraint)                                           \
    attributes IN_ONE_PAGE static void name(void *mapping, void *private, size_t bytes)            \
    {                                                                                              \
        type sum = {0};                                                                            \
        (void)private;                                                                             \
        for (size_t line = 0; line < bytes; line += MAPPING_LINE_BYTES) {                          \
            const volatile __typeof__(type) *at =                                                  \
                (const volatile __typeof__(type) *)((char *)mapping + line);                       \
            _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++) sum ^=                       \
                at[i * (MAPPING_LINE_BYTES / (count)) / (int)sizeof(type)];                        \
        }                                                                                          \
        __asm__ volatile("" ::constraint(sum));                                                    \
    }

#define STORES(name, attributes, type, count)                                                      \
    attributes IN_ONE_PAGE static void name(void *mapping, void *private, size_t bytes)            \
    {                                                                                              \
        type value = {0x5a};                                                                       \
        (void)private;                                                                             \
        for (size_t line = 0; line < bytes; line += MAPPING_LINE_BYTES) {                          \
            volatile __typeof__(type) *at = (volatile __typeof__(type) *)((char *)mapping + line); \
            _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)                              \
                at[i * (MAPPING_LINE_BYTES / (count)) / (int)sizeof(type)] = value;                \
        }                                                                                          \
        drain();                                                                                   \
    }

LOADS(load_1x1, , uint8_t, 1, "r")
LOADS(load_8x1, , uint64_t, 1, "r")
LOADS(load_8x4, , uint64_t, 4, "r")
LOADS(load_8x8, , uint64_t, 8, "r")
LOADS(load_16x1, , vector16, 1, REGISTER)
LOADS(load_16x4, , vector16, 4, REGISTER)
STORES(store_8x1, , uint64_t, 1)
STORES(store_8x8, , uint64_t, 8)
STORES(store_16x4, , vector16, 4)

#if X86_64

LOADS(load_32x2, TARGET("avx2"), vector32, 2, REGISTER)
LOADS(load_64x1, TARGET("avx512f"), vector64, 1, "v")

static bool has_sse41(void)
{
    return __builtin_cpu_supports("sse4.1");
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

#define STREAM_LOADS(name, count)                                                                  \
    IN_ONE_PAGE static void name(void *mapping, void *private, size_t bytes)                       \
    {                                                                                              \
        (void)private;                                                                             \
        for (size_t line = 0; line < bytes; line += MAPPING_LINE_BYTES) {                          \
            const vector16 *at = (const vector16 *)((char *)mapping + line);                       \
            vector16 value;                                                                        \
            _Pragma("GCC unroll 4") for (int i = 0; i < (count); i++) __asm__ volatile(            \
                "movntdqa %1, %0" : "=x"(value) : "m"(at[i]));                                     \
        }                                                                                          \
    }

STREAM_LOADS(stream_load_16x1, 1)
STREAM_LOADS(stream_load_16x4, 4)

IN_ONE_PAGE static void stream_store_8x8(void *mapping, void *private, size_t bytes)
{
    (void)private;
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t))
        __asm__ volatile("movnti %1, %0"
                         : "=m"(*(uint64_t *)((char *)mapping + at))
                         : "r"((uint64_t)at));
    drain();
}

IN_ONE_PAGE static void stream_store_16x4(void *mapping, void *private, size_t bytes)
{
    vector16 value = {0x5a};
    (void)private;
    for (size_t at = 0; at < bytes; at += sizeof value)
        __asm__ volatile("movntdq %1, %0" : "=m"(*(vector16 *)((char *)mapping + at)) : "x"(value));
    drain();
}

#endif

static void copy_out(void *mapping, void *private, size_t bytes)
{
    memcpy(private, mapping, bytes);
    __asm__ volatile("" ::"r"(private) : "memory");
}

static void copy_in(void *mapping, void *private, size_t bytes)
{
    memcpy(mapping, private, bytes);
    __asm__ volatile("" ::"r"(mapping) : "memory");
    drain();
}

const struct mapping_loop mapping_loops[] = {
    {"load-1x1", MAPPING_LOAD, 1, 1, false, always, load_1x1},
    {"load-8x1", MAPPING_LOAD, 8, 1, false, always, load_8x1},
    {"load-8x4", MAPPING_LOAD, 8, 4, false, always, load_8x4},
    {"load-8x8", MAPPING_LOAD, 8, 8, false, always, load_8x8},
    {"load-16x1", MAPPING_LOAD, 16, 1, false, always, load_16x1},
    {"load-16x4", MAPPING_LOAD, 16, 4, false, always, load_16x4},
#if X86_64
    {"load-32x2", MAPPING_LOAD, 32, 2, false, has_avx2, load_32x2},
    {"load-64x1", MAPPING_LOAD, 64, 1, false, has_avx512, load_64x1},
    {"stream-load-16x1", MAPPING_LOAD, 16, 1, true, has_sse41, stream_load_16x1},
    {"stream-load-16x4", MAPPING_LOAD, 16, 4, true, has_sse41, stream_load_16x4},
#endif
    {"memcpy-out", MAPPING_COPY_OUT, 0, 0, false, always, copy_out},
    {"store-8x1", MAPPING_STORE, 8, 1, false, always, store_8x1},
    {"store-8x8", MAPPING_STORE, 8, 8, false, always, store_8x8},
    {"store-16x4", MAPPING_STORE, 16, 4, false, always, store_16x4},
#if X86_64
    {"stream-store-8x8", MAPPING_STORE, 8, 8, true, always, stream_store_8x8},
    {"stream-store-16x4", MAPPING_STORE, 16, 4, true, always, stream_store_16x4},
#endif
    {"memcpy-in", MAPPING_COPY_IN, 0, 0, false, always, copy_in},
    {NULL, MAPPING_LOAD, 0, 0, false, NULL, NULL},
};

const struct mapping_loop *mapping_loop(const char *name)
{
    for (const struct mapping_loop *loop = mapping_loops; loop->name != NULL; loop++)
        if (strcmp(loop->name, name) == 0)
            return loop->usable() ? loop : NULL;
    return NULL;
}

int64_t mapping_loop_time(const struct mapping_loop *loop, void *mapping, void *private_memory,
                          size_t bytes, int passes)
{
    int64_t start_ns = dx_clock_ns();
    for (int pass = 0; pass < passes; pass++)
        loop->run(mapping, private_memory, bytes);
    return dx_clock_ns() - start_ns;
}
