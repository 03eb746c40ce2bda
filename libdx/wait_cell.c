/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_cell.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"

/* FUTEX_PRIVATE_FLAG stays off: the word is shared between processes. */
static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
                  const struct timespec *timeout)
{
    return syscall(SYS_futex, (uint32_t *)word, operation, value, timeout, NULL, 0);
}

/*
 * Semaphores. Whoever shares one with us must not be able to end our program, and glibc ends it
 * when a futex call fails whose flags lie in the semaphore. So posts are counted and waited for
 * here, on the value, which is the first 32 bits of a glibc semaphore (2.21 and later, 64-bit).
 */
#if defined(__GLIBC__) && UINTPTR_MAX == UINT64_MAX

static _Atomic uint32_t *value_of(struct dx_cell *cell)
{
    return (_Atomic uint32_t *)(void *)cell->room;
}

static void post(struct dx_cell *cell)
{
    _Atomic uint32_t *value = value_of(cell);
    /* Relaxed: the exchange decides. */
    uint32_t seen = dx_load_relaxed(value);
    /* Of more posts than that the last one does not count: somebody wrote them while others slept.
     */
    while (seen < (uint32_t)SEM_VALUE_MAX &&
           !dx_cas_seqcst(value, &seen, seen + 1)) /* R10 -> A10: wakes; the ring says it */
        ;
    (void)futex(value, FUTEX_WAKE, 1, NULL);
}

/* Takes a post, if there is one. */
static bool take(struct dx_cell *cell)
{
    _Atomic uint32_t *value = value_of(cell);
    /* Relaxed: the exchange decides. */
    uint32_t seen = dx_load_relaxed(value);
    do {
        if (seen == 0)
            return false;
    } while (!dx_cas_seqcst(value, &seen, seen - 1)); /* A10 <- R10: woken; the ring says why */
    return true;
}

/* Sleeps until there is a post, a signal or the end of the time (NULL: it has none). */
static void sleep_for_post(struct dx_cell *cell, const struct timespec *timeout)
{
    /* The number of sleepers, by which the C library's sem_post knows whether to wake one. Relaxed:
     * the kernel looks at the value after it. */
    _Atomic uint32_t *sleepers = value_of(cell) + 1;
    (void)dx_add_relaxed(sleepers, 1u);
    (void)futex(value_of(cell), FUTEX_WAIT, 0, timeout);
    (void)dx_add_relaxed(sleepers, UINT32_MAX);
}

static void wait_sem(struct dx_cell *cell, int64_t timeout_ns)
{
    struct timespec timeout = dx_clock_timespec(timeout_ns);
    if (take(cell))
        return;
    sleep_for_post(cell, &timeout);
    (void)take(cell);
}

static void await_post(struct dx_cell *cell, const _Atomic uint32_t *ended)
{
    /* Relaxed: only its value counts; the release is repeated. */
    while (!take(cell) && dx_load_relaxed(ended) == 0)
        sleep_for_post(cell, NULL);
}

/* All of them: the other side can have made more than anybody could take. Relaxed: a post that is
 * still under way costs a spurious wake-up, and no more. */
static void forget_posts(struct dx_cell *cell)
{
    dx_store_relaxed(value_of(cell), 0u);
}

#else /* whose functions neither abort nor say where the value lies */

static void post(struct dx_cell *cell)
{
    (void)sem_post(&cell->sem);
}

static void wait_sem(struct dx_cell *cell, int64_t timeout_ns)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until = dx_clock_timespec(dx_clock_from_timespec(until) + timeout_ns);
    (void)sem_timedwait(&cell->sem, &until);
}

static void await_post(struct dx_cell *cell, const _Atomic uint32_t *ended)
{
    (void)ended; /* the post says so */
    while (sem_wait(&cell->sem) != 0 && errno == EINTR)
        ;
}

static void forget_posts(struct dx_cell *cell)
{
    (void)sem_trywait(&cell->sem);
}

#endif

void dx_cell_init(struct dx_cell *cell)
{
    /* Relaxed: R4 (the peer's state) publishes the cell before anybody can ring it. */
    dx_store_relaxed(&cell->armed, 0u);
    dx_store_relaxed(&cell->rings, 0u);
    (void)sem_init(&cell->sem, 1, 0);
}

uint32_t dx_cell_arm(struct dx_cell *cell, enum dx_park kind)
{
    /* Relaxed: a stale value makes the ringer's compare-and-swap fail only if a ring came in
     * between, and then dx_cell_wait sees it. */
    uint32_t rings = dx_load_relaxed(&cell->rings);
    uint32_t armed = DX_CELL_RINGS(rings) | (uint32_t)kind << DX_CELL_KIND_SHIFT | DX_CELL_ARMED;
    /* No ringer leaves anything in the low bits, and none can ring while it is there; we would take
     * it for a ring, now and in every later sleep. Relaxed: published below. */
    if (dx_unlikely(rings != DX_CELL_RINGS(rings)))
        dx_store_relaxed(&cell->rings, DX_CELL_RINGS(rings));
    /* S2 <-> S1, S4 <-> S3: announced before the last look. */
    dx_store_seqcst(&cell->armed, armed);
    DX_FAULT(CELL_ARMED);
    return armed;
}

bool dx_cell_rung(const struct dx_cell *cell, uint32_t armed)
{
    /* A10 <- R10: what the ring announces. */
    return dx_load_acquire(&cell->rings) != DX_CELL_RINGS(armed);
}

enum dx_slept dx_cell_slept(const struct dx_cell *cell, uint32_t armed, bool timed_out)
{
    if (!dx_cell_rung(cell, armed))
        return DX_SLEPT_UNRUNG;
    /* With the other kinds the ringer's own system call wakes us, which cannot get lost. */
    return timed_out && DX_CELL_KIND(armed) == DX_PARK_DOORBELL ? DX_SLEPT_LATE : DX_SLEPT_RUNG;
}

/* True if the time ran out. */
static bool wait_futex(struct dx_cell *cell, uint32_t armed, int64_t timeout_ns)
{
    struct timespec timeout = dx_clock_timespec(timeout_ns);
    return futex(&cell->rings, FUTEX_WAIT, DX_CELL_RINGS(armed), &timeout) != 0 &&
           errno == ETIMEDOUT;
}

enum dx_slept dx_cell_wait(struct dx_cell *cell, uint32_t armed, const struct dx_wait *wait,
                           int64_t timeout_ns)
{
    bool timed_out = false;
    if (dx_cell_rung(cell, armed))
        return DX_SLEPT_RUNG;
    DX_FAULT(CELL_SLEEPS);
    switch (DX_CELL_KIND(armed)) {
    case DX_PARK_FUTEX:
    case DX_PARK_DOORBELL: /* whoever hears the doorbell wakes us */
        timed_out = wait_futex(cell, armed, timeout_ns);
        break;
    case DX_PARK_SEM:
        wait_sem(cell, timeout_ns);
        break;
    default: {
        int64_t slice_ns = wait->poll_ns < timeout_ns ? wait->poll_ns : timeout_ns;
        struct timespec slice = dx_clock_timespec(slice_ns);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &slice, NULL);
        break;
    }
    }
    return dx_cell_slept(cell, armed, timed_out);
}

void dx_cell_await_ring(struct dx_cell *cell, enum dx_park kind, uint32_t *seen,
                        const _Atomic uint32_t *ended)
{
    if (kind == DX_PARK_SEM) {
        await_post(cell, ended);
        return;
    }
    uint32_t rings;
    /* A10 <- R10: what the ring announces. Relaxed: of `ended` only the value counts. */
    while ((rings = dx_load_acquire(&cell->rings)) == *seen && dx_load_relaxed(ended) == 0)
        (void)futex(&cell->rings, FUTEX_WAIT, *seen, NULL);
    *seen = rings;
}

void dx_cell_release(struct dx_cell *cell, enum dx_park kind)
{
    if (kind == DX_PARK_SEM) {
        post(cell);
        return;
    }
    /* R10 -> A10: why it is released. */
    (void)dx_add_acqrel(&cell->rings, DX_CELL_STEP);
    (void)futex(&cell->rings, FUTEX_WAKE, 1, NULL);
}

void dx_cell_disarm(struct dx_cell *cell, uint32_t armed)
{
    /* Relaxed: rings of one that still sees the old value wake nobody. */
    dx_store_relaxed(&cell->armed, 0u);
    /* A post that nobody waited for would end the next sleep early. */
    if (DX_CELL_KIND(armed) == DX_PARK_SEM)
        forget_posts(cell);
}

void dx_cell_wake(struct dx_cell *cell, uint32_t armed)
{
    if (DX_CELL_KIND(armed) == DX_PARK_SEM)
        post(cell);
    else if (DX_CELL_KIND(armed) == DX_PARK_FUTEX)
        (void)futex(&cell->rings, FUTEX_WAKE, 1, NULL);
}

bool dx_cell_ring_armed(struct dx_cell *cell, uint32_t armed)
{
    uint32_t expected = DX_CELL_RINGS(armed);
    if (DX_CELL_KIND(armed) == DX_PARK_POLL)
        return false; /* looks by itself */
    /* R10 -> A10: the news before the ring. */
    if (!dx_cas_seqcst(&cell->rings, &expected, expected + DX_CELL_STEP))
        return false; /* somebody else rings */
    DX_FAULT(RING_CLAIMED);
    dx_cell_wake(cell, armed);
    DX_FAULT(RING_DONE);
    return true;
}

void dx_cell_dispatch(struct dx_cell *cell)
{
    /* Relaxed: of a sleeper of this process that armed it before it was rung. */
    uint32_t armed = dx_load_relaxed(&cell->armed);
    if ((armed & DX_CELL_ARMED) == 0 || DX_CELL_KIND(armed) != DX_PARK_DOORBELL ||
        !dx_cell_rung(cell, armed))
        return;
    (void)futex(&cell->rings, FUTEX_WAKE, 1, NULL);
}
