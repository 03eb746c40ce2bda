/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes a second one CPU copies, reads or writes. */
#include "floor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_BYTES = 1 << 20, /* moved between two looks at the clock, or one pass if that is more */
};
#define WARM_UP_NS 2000000ll

/* 16 bytes: every x86-64 and arm64 has registers of that width. */
typedef uint64_t vector __attribute__((vector_size(16), may_alias));
enum { STEP = 4 * sizeof(vector) };

/* Loads every byte once and sums up in registers. Four sums hide the latency of an add; they are
 * four variables because a compiler keeps an array of sums on the stack, which costs a store and a
 * load each (seen in the assembly: a fifth of the speed). */
static uint64_t read_pass(const char *from, size_t bytes)
{
    vector a = {0}, b = {0}, c = {0}, d = {0};
    size_t i = 0;
    for (; i + STEP <= bytes; i += STEP) {
        const vector *v = (const vector *)(from + i);
        a += v[0];
        b += v[1];
        c += v[2];
        d += v[3];
    }
    vector all = (a + b) + (c + d);
    uint64_t tail = 0;
    uint64_t loads = i / sizeof(vector) + (bytes - i);
    for (; i < bytes; i++)
        tail += (unsigned char)from[i];
    __asm__ volatile("" ::"r"(all[0] + all[1] + tail) : "memory");
    return loads;
}

/* Stores every byte once. The pattern has different halves, so that the compiler cannot turn the
 * loop into a call of memset, which may use stores of another kind. */
static void write_pass(char *to, size_t bytes, uint64_t pattern)
{
    const vector value = {pattern, ~pattern};
    size_t i = 0;
    for (; i + STEP <= bytes; i += STEP) {
        vector *v = (vector *)(to + i);
        v[0] = value;
        v[1] = value;
        v[2] = value;
        v[3] = value;
    }
    for (; i < bytes; i++)
        to[i] = (char)(pattern + i);
    __asm__ volatile("" ::"r"(to) : "memory");
}

static uint64_t pass(enum floor_traffic kind, char *to, const char *from, size_t bytes,
                     uint64_t number)
{
    switch (kind) {
    case FLOOR_READ:
        return read_pass(from, bytes);
    case FLOOR_WRITE:
        write_pass(to, bytes, 0x0123456789abcdefull + number);
        return 0;
    case FLOOR_COPY:
        break;
    }
    memcpy(to, from, bytes);
    __asm__ volatile("" ::"r"(to) : "memory");
    return 0;
}

static void move(enum floor_traffic kind, char *to, const char *from, size_t bytes,
                 int64_t duration_ns, struct floor_moved *out)
{
    uint64_t passes = 0, loads = 0, batch = bytes < BATCH_BYTES ? BATCH_BYTES / bytes : 1;
    int64_t start_ns = floor_now_ns(), elapsed_ns;
    do {
        for (uint64_t i = 0; i < batch; i++)
            loads += pass(kind, to, from, bytes, passes + i);
        passes += batch;
        elapsed_ns = floor_now_ns() - start_ns;
    } while (elapsed_ns < duration_ns);
    *out = (struct floor_moved){passes * bytes, loads, elapsed_ns};
}

void floor_move(enum floor_traffic kind, char *to, const char *from, size_t bytes,
                int64_t duration_ns, struct floor_moved *out)
{
    move(kind, to, from, bytes, WARM_UP_NS, out);
    move(kind, to, from, bytes, duration_ns, out);
}

int floor_bandwidth(enum floor_traffic kind, size_t bytes, int64_t duration_ns,
                    struct floor_moved *out)
{
    size_t room = (bytes + 127) / 128 * 128;
    char *to = aligned_alloc(128, room), *from = aligned_alloc(128, room);
    int error = to && from ? 0 : ENOMEM;
    if (!error) {
        memset(from, 0x5a, room); /* both in memory of their own: an untouched page is the */
        memset(to, 0xa5, room);   /* kernel's one page of zeros, which stays in cache */
        floor_move(kind, to, from, bytes, duration_ns, out);
    }
    free(from);
    free(to);
    return error;
}
