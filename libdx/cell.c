/* SPDX-License-Identifier: Apache-2.0 */
#include "cell.h"

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
 * The C library keeps more than a value in a semaphore, such as whether it is shared, and ends the
 * program when it finds nonsense there. The other side can write it: put it right before each
 * sleep. What remains is a peer that writes nonsense in that very moment, so that whoever does not
 * trust its peer parks by futex.
 */
static void mend(struct dx_cell *cell)
{
    union {
        sem_t sem;
        uint64_t words[4];
    } fresh = {.words = {0}};
    (void)sem_init(&fresh.sem, 1, 0);
    /* The first word holds the value and the number of sleepers; the C library bears any. Relaxed:
     * everybody writes the same. */
    for (size_t i = 1; i < sizeof fresh.words / sizeof *fresh.words; i++)
        dx_store_relaxed((_Atomic uint64_t *)&cell->room[i], fresh.words[i]);
}

/*
 * Posts. Whoever asks to be rung by semaphore must not be able to end our program: glibc's sem_post
 * aborts when its futex call fails, and the flags of that call lie in the semaphore. So the value,
 * which is the first 32 bits of a glibc semaphore (2.21 and later, 64-bit), is counted up here.
 * Other C libraries' sem_post does not abort.
 */
static void post(struct dx_cell *cell)
{
#if defined(__GLIBC__) && UINTPTR_MAX == UINT64_MAX
    _Atomic uint32_t *value = (_Atomic uint32_t *)(void *)cell->room;
    /* Relaxed: the exchange decides. */
    uint32_t seen = dx_load_relaxed(value);
    do {
        if (seen >= (uint32_t)SEM_VALUE_MAX)
            return; /* more posts than anybody can sleep through */
    } while (!dx_cas_seqcst(value, &seen, seen + 1)); /* R10 -> A10: wakes; the ring says it */
    (void)futex(value, FUTEX_WAKE, 1, NULL);
#else
    (void)sem_post(&cell->sem);
#endif
}

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
     * between, and then dx_cell_wait sees it. The low bits are cleared because the other side can
     * write anything here. */
    uint32_t armed =
        DX_CELL_RINGS(dx_load_relaxed(&cell->rings)) | (uint32_t)kind << 1 | DX_CELL_ARMED;
    /* S2 <-> S1, S4 <-> S3: announced before the last look. */
    dx_store_seqcst(&cell->armed, armed);
    DX_FAULT(CELL_ARMED);
    return armed;
}

static bool rung(const struct dx_cell *cell, uint32_t armed)
{
    /* A10 <- R10: what the ring announces. */
    return dx_load_acquire(&cell->rings) != DX_CELL_RINGS(armed);
}

static void wait_futex(struct dx_cell *cell, uint32_t armed, int64_t timeout_ns)
{
    struct timespec timeout = dx_clock_timespec(timeout_ns);
    (void)futex(&cell->rings, FUTEX_WAIT, DX_CELL_RINGS(armed), &timeout);
}

static void wait_sem(struct dx_cell *cell, int64_t timeout_ns)
{
    mend(cell);
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 30)
    /* sem_timedwait counts on the wall clock, which can be set; its sibling does not. */
    struct timespec until = dx_clock_timespec(dx_clock_ns() + timeout_ns);
    (void)sem_clockwait(&cell->sem, CLOCK_MONOTONIC, &until);
#else
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until = dx_clock_timespec(dx_clock_from_timespec(until) + timeout_ns);
    (void)sem_timedwait(&cell->sem, &until);
#endif
}

bool dx_cell_wait(struct dx_cell *cell, uint32_t armed, const struct dx_wait *wait,
                  int64_t timeout_ns)
{
    if (rung(cell, armed))
        return true;
    DX_FAULT(CELL_SLEEPS);
    switch (DX_CELL_KIND(armed)) {
    case DX_PARK_FUTEX:
    case DX_PARK_DOORBELL: /* whoever hears the doorbell wakes us */
        wait_futex(cell, armed, timeout_ns);
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
    return rung(cell, armed);
}

void dx_cell_await_ring(struct dx_cell *cell, enum dx_park kind, uint32_t *seen)
{
    if (kind == DX_PARK_SEM) {
        while (sem_wait(&cell->sem) != 0 && errno == EINTR)
            ;
        return;
    }
    uint32_t rings;
    /* A10 <- R10: what the ring announces. */
    while ((rings = dx_load_acquire(&cell->rings)) == *seen)
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
    /* Relaxed: a ringer that still sees the old value rings in vain. */
    dx_store_relaxed(&cell->armed, 0u);
    /* A post that nobody waited for would end the next sleep early: take it back. One that is
     * still under way costs that sleep one spurious wake-up, and no more. */
    if (DX_CELL_KIND(armed) == DX_PARK_SEM && rung(cell, armed))
        (void)sem_trywait(&cell->sem);
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
    if (DX_CELL_KIND(armed) == DX_PARK_SEM)
        post(cell);
    else if (DX_CELL_KIND(armed) != DX_PARK_DOORBELL)
        (void)futex(&cell->rings, FUTEX_WAKE, 1, NULL);
    DX_FAULT(RING_DONE);
    return true;
}

bool dx_cell_dispatch(struct dx_cell *cell)
{
    /* Relaxed: of a sleeper of this process that armed it before it was rung. */
    uint32_t armed = dx_load_relaxed(&cell->armed);
    if ((armed & DX_CELL_ARMED) == 0 || DX_CELL_KIND(armed) != DX_PARK_DOORBELL ||
        !rung(cell, armed))
        return false;
    (void)futex(&cell->rings, FUTEX_WAKE, 1, NULL);
    return true;
}
