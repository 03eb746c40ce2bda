/* SPDX-License-Identifier: Apache-2.0 */
#include "random.h"

#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"
#include "fd.h"

static _Atomic uint64_t count;

/* The finalizer of splitmix64: each bit of the input changes half of the output. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static uint64_t time_of(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What the kernel gave this program at its start tells machines apart, the process's number tells
 * a forked child from its parent, and the count tells calls of one process apart. */
static uint64_t made_up(void)
{
    uint64_t seed[2] = {0};
    const void *given = (const void *)getauxval(AT_RANDOM); /* NOLINT(performance-no-int-to-ptr) */
    if (given != NULL)
        memcpy(seed, given, sizeof seed);
    /* Relaxed: only that no two get the same value counts. */
    uint64_t number = dx_add_relaxed(&count, 1u);
    uint64_t value = mix(seed[0] ^ (uint64_t)getpid());
    value = mix(value ^ seed[1] ^ time_of(CLOCK_REALTIME));
    return mix(value ^ time_of(CLOCK_MONOTONIC) ^ number << 48);
}

static uint64_t read_device(void)
{
    uint64_t value = 0;
    int fd = dx_fd_open("/dev/urandom", O_RDONLY);
    if (fd < 0)
        return 0;
    if (read(fd, &value, sizeof value) != (ssize_t)sizeof value)
        value = 0;
    (void)close(fd);
    return value;
}

uint64_t dx_random64(void)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) == (ssize_t)sizeof value && value != 0)
        return value;
    value = read_device();
    while (value == 0)
        value = made_up();
    return value;
}
