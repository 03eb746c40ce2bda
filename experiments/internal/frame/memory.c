/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* 16 bytes: every x86-64 and arm64 has registers of that width. */
typedef uint64_t vector __attribute__((vector_size(16), may_alias));
typedef uint64_t word __attribute__((may_alias));

/* Makes the compiler believe that the value is used, at the cost of no instruction: sums stay in
 * registers until here. */
static inline void use(uint64_t value)
{
    __asm__ volatile("" ::"r"(value) : "memory");
}

/* The finaliser of splitmix64: each bit of z reaches each bit of the result. */
static inline uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint64_t memory_generate(void *to, size_t bytes, uint64_t sequence)
{
    const uint64_t golden = 0x9e3779b97f4a7c15ull;
    word *w = to;
    uint64_t seed = mix(sequence + golden);
    uint64_t sum = sequence;
    w[0] = sequence;
    for (size_t i = 1; i < bytes / sizeof *w; i++) {
        w[i] = mix(seed + i * golden);
        sum += w[i];
    }
    return sum;
}

__attribute__((noinline)) uint64_t memory_read(const void *from, size_t bytes, uint64_t *loads)
{
    const vector *v = from;
    const vector *end = v + bytes / sizeof *v;
    /* Four sums hide the latency of an add; an array of them would live on the stack. */
    vector a = {0}, b = {0}, c = {0}, d = {0};
    for (; v != end; v += 4) {
        a += v[0];
        b += v[1];
        c += v[2];
        d += v[3];
    }
    vector all = (a + b) + (c + d);
    use(all[0] + all[1]);
    *loads = bytes / sizeof *v;
    return all[0] + all[1];
}

__attribute__((noinline)) uint64_t memory_read_strided(const void *from, size_t bytes,
                                                       uint64_t *loads)
{
    const size_t stride = FRAME_STEP / sizeof(word);
    const word *w = from;
    const word *end = w + bytes / sizeof *w;
    uint64_t sum = 0;
    for (; w != end; w += stride)
        sum += *w;
    use(sum);
    *loads = bytes / FRAME_STEP;
    return sum;
}

__attribute__((noinline)) void memory_write(void *to, size_t bytes, uint64_t pattern)
{
    /* Different halves, so that the compiler cannot turn the loop into a call of memset. */
    const vector value = {pattern, ~pattern};
    vector *v = to;
    vector *end = v + bytes / sizeof *v;
    for (; v != end; v += 4) {
        v[0] = value;
        v[1] = value;
        v[2] = value;
        v[3] = value;
    }
    __asm__ volatile("" ::"r"(to) : "memory");
}

__attribute__((noinline)) void memory_copy(void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    __asm__ volatile("" ::"r"(to) : "memory");
}

void *memory_map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void memory_unmap(void *at, size_t bytes)
{
    if (at != NULL)
        (void)munmap(at, bytes);
}

uint64_t memory_anonymous_bytes(void)
{
    char text[2048];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *line = strstr(text, "RssAnon:");
    return line == NULL ? 0 : strtoull(line + 8, NULL, 10) * 1024;
}
