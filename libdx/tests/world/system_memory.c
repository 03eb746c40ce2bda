/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for what gives and takes memory, threads and time. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include "fail.h"

static _Atomic long blocks;

long world_blocks(void)
{
    return atomic_load(&blocks);
}

static void *counted(void *memory)
{
    if (memory != NULL)
        (void)atomic_fetch_add(&blocks, 1);
    return memory;
}

void *world_malloc(size_t bytes)
{
    return WORLD_FAILS("malloc", ENOMEM) ? NULL : counted(malloc(bytes));
}

void *world_calloc(size_t count, size_t bytes)
{
    return WORLD_FAILS("calloc", ENOMEM) ? NULL : counted(calloc(count, bytes));
}

void *world_realloc(void *old, size_t bytes)
{
    if (WORLD_FAILS("realloc", ENOMEM))
        return NULL;
    void *memory = realloc(old, bytes);
    return old == NULL ? counted(memory) : memory;
}

void *world_aligned_alloc(size_t alignment, size_t bytes)
{
    return WORLD_FAILS("aligned_alloc", ENOMEM) ? NULL : counted(aligned_alloc(alignment, bytes));
}

void world_free(void *memory)
{
    if (memory != NULL)
        (void)atomic_fetch_sub(&blocks, 1);
    free(memory);
}

void world_count_blocks(long more)
{
    (void)atomic_fetch_add(&blocks, more);
}

void *world_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (WORLD_FAILS("mmap", ENOMEM, EPERM, EAGAIN))
        return MAP_FAILED;
    return mmap(address, bytes, protection, flags, fd, offset);
}

/* The memory goes all the same: what cannot be unmapped cannot be given back by anybody. */
int world_munmap(void *address, size_t bytes)
{
    int result = munmap(address, bytes);
    return WORLD_FAILS("munmap", ENOMEM, EINVAL) ? -1 : result;
}

int world_madvise(void *address, size_t bytes, int advice)
{
    return WORLD_FAILS("madvise", EINVAL, EPERM, ENOMEM) ? -1 : madvise(address, bytes, advice);
}

ssize_t world_getrandom(void *buffer, size_t bytes, unsigned flags)
{
    return WORLD_FAILS("getrandom", EINTR, ENOSYS, EPERM) ? -1 : getrandom(buffer, bytes, flags);
}

int world_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                         void *user)
{
    int error = WORLD_ERROR("pthread_create", EAGAIN, EPERM);
    return error != 0 ? error : pthread_create(thread, attributes, run, user);
}

int world_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    int error = WORLD_ERROR("pthread_atfork", ENOMEM);
    return error != 0 ? error : pthread_atfork(prepare, parent, child);
}

int world_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
                          struct timespec *left)
{
    int error = WORLD_ERROR("clock_nanosleep", EINTR);
    return error != 0 ? error : clock_nanosleep(clock, flags, time, left);
}

static _Atomic int64_t skipped_ns;

void world_skip_time(int64_t ns)
{
    (void)atomic_fetch_add(&skipped_ns, ns);
}

int world_clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = clock_gettime(clock, time);
    int64_t ns = time->tv_nsec + atomic_load(&skipped_ns);
    time->tv_sec += ns / 1000000000;
    time->tv_nsec = ns % 1000000000;
    return result;
}

int world_sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *set)
{
    return WORLD_FAILS("sched_getaffinity", EINVAL, EPERM, ENOSYS)
               ? -1
               : sched_getaffinity(pid, bytes, set);
}

int world_sem_init(sem_t *semaphore, int shared, unsigned value)
{
    return WORLD_FAILS("sem_init", ENOSYS) ? -1 : sem_init(semaphore, shared, value);
}

/* Of futexes only waits can fail in a way that is not a fault of the program's. */
static bool syscall_fails(long number, long operation)
{
    if (number != SYS_futex)
        return WORLD_FAILS("syscall", ENOSYS, EPERM, EINTR);
    bool waits = (operation & FUTEX_CMD_MASK) == FUTEX_WAIT ||
                 (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    return waits && WORLD_FAILS("futex", EINTR);
}

long world_syscall(long number, ...)
{
    long argument[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    if (syscall_fails(number, argument[1]))
        return -1;
    return syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                   argument[5]);
}
