/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world that says no. The library is linked once more with the names of its allocations and
 * system calls changed: open becomes world_open, and so on (symbols.txt). The stand-ins of
 * system_*.c count each call while they are armed, let one of them fail as its man page allows, and
 * pass all others on. Calls of the test itself and of the C library stay what they are.
 */
#ifndef DX_TEST_WORLD_FAIL_H
#define DX_TEST_WORLD_FAIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* In place of an error number: the call moves less than was asked for. */
#define WORLD_SHORT (-1)

/* Which call fails, and how. */
struct world_plan {
    uint32_t point; /* the call of this number, from 1 */
    uint32_t error; /* which of the errors that the function can have, from 0 */
    bool on;        /* so does every later call of the same function, but for EINTR */
    /* Of what is called again and again in one way, the calls that have a number; 0: all. */
    uint32_t repeats;
};

/* What came of it. */
struct world_report {
    const char *function; /* at the point; NULL: there were fewer calls */
    uint32_t errors;      /* which that function can have */
    int error;            /* the one that was given; 0: none */
};

/* *report is filled in while it happens, so that it tells of a process that hangs or dies, too. */
void world_arm(const struct world_plan *plan, struct world_report *report);
void world_disarm(void);

/* What came of it until now. */
const struct world_report *world_reported(void);

/* For the stand-ins: the error number with which this call is to fail, or 0. */
int world_error(const char *function, const int *errors, size_t count);

#define WORLD_ERROR(function, ...)                                                                 \
    world_error((function), (const int[]){__VA_ARGS__},                                            \
                sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

/* The same for functions that say why in errno. */
static inline bool world_sets_errno(int error)
{
    if (error > 0)
        errno = error;
    return error > 0;
}

#define WORLD_FAILS(function, ...) world_sets_errno(WORLD_ERROR((function), __VA_ARGS__))

/* Blocks of memory that the library has allocated and not freed. */
long world_blocks(void);
void world_count_blocks(long more);

/* From here on this process waits for no time: where it would with ppoll, its clock jumps, and with
 * epoll_wait, it is some ms. */
void world_skip_waits(void);
void world_skip_time(int64_t ns);

/* From here on /proc, /tmp, /dev/shm and the list of PCI devices seem to have only what has this
 * tag in its name, and the folder of this process: there are as many points everywhere. */
void world_show_only(const char *tag, pid_t process);

#endif
