/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping for a doorbell. There is one eventfd for all sleepers of a channel, and no futex can lie
 * in a device's memory: the first sleeper waits for the eventfd, each of the others at a futex of
 * its own in this process. Whoever stops waiting for the eventfd wakes those whose
 * cells were rung, and one more, to wait in its place.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "clock.h"
#include "fault.h"
#include "fd_wait.h"
#include "histogram.h"
#include "rendezvous_link.h"

/* True if the time ran out. */
static bool sleep_privately(_Atomic uint32_t *sleeper, uint32_t before, int64_t timeout_ns)
{
    struct timespec timeout = dx_clock_timespec(timeout_ns);
    return syscall(SYS_futex, (uint32_t *)sleeper, FUTEX_WAIT_PRIVATE, before, &timeout, NULL, 0) !=
               0 &&
           errno == ETIMEDOUT;
}

static void wake_sleeper(_Atomic uint32_t *sleeper)
{
    /* R15 -> A15: rung, or to hear the bell. */
    (void)dx_add_acqrel(sleeper, 1u);
    (void)syscall(SYS_futex, (uint32_t *)sleeper, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Wakes the sleeper of a cell if it was rung; or, if *next_listener is wanted and not found yet,
 * one that was not. */
static void look_at_sleeper(struct dx_channel *c, uint32_t cell, bool *next_listener)
{
    /* S7 <-> S8: after the end of our hearing. */
    uint32_t armed = dx_load_seqcst(&c->cells[cell].armed);
    if ((armed & DX_CELL_ARMED) == 0 || DX_CELL_KIND(armed) != DX_PARK_DOORBELL)
        return;
    bool rung = dx_cell_rung(&c->cells[cell], armed);
    if (rung || *next_listener)
        wake_sleeper(&c->sleepers[cell]);
    *next_listener = *next_listener && rung;
}

/* Wakes those who were rung, but for us. next_listener: one more, to hear the bell in our place. */
static void wake_others(struct dx_channel *c, uint32_t own, bool next_listener)
{
    uint32_t first = dx_first_slot(&c->geometry, c->side);
    for (uint32_t i = first; i < first + dx_slot_count(&c->geometry, c->side); i++)
        if (i != own)
            look_at_sleeper(c, i, &next_listener);
    for (uint32_t w = 0; w <= DX_SERVE_THREADS_MAX; w++) {
        uint32_t cell = dx_cell_of_worker(c->geometry.slots, c->side, w);
        if (cell != own)
            look_at_sleeper(c, cell, &next_listener);
    }
}

/* The other sleepers do not wait for the end of our pause. */
static void slow_down(struct dx_channel *c)
{
    /* Relaxed: a number. */
    int64_t pause_ns = dx_brake_pause_ns(&c->brake, dx_load_relaxed(&c->found));
    if (pause_ns == 0)
        return;
    wake_others(c, UINT32_MAX, false);
    dx_fd_nap(pause_ns);
}

/* Forgets earlier rings here and not after the wait, so that an answer does not wait for that. The
 * cells that were rung until now are looked at next. True if the time ran out. */
static bool hear_for_all(struct dx_channel *c, uint32_t own, uint32_t armed, int64_t timeout_ns)
{
    dx_link_forget_rings(c->region.link);
    /* A10 <- R10 in dx_cell_rung: a ring that we forget is seen in the cells. */
    bool timed_out = false;
    wake_others(c, own, false);
    if (!dx_cell_rung(&c->cells[own], armed)) {
        DX_FAULT(CELL_SLEEPS);
        timed_out = !dx_link_hear(c->region.link, timeout_ns);
        if (!timed_out)
            slow_down(c);
    }
    /* S7 <-> S8: our turn ends before the look at the other sleepers. */
    (void)dx_exchange_acqrel(&c->hearing, 0u);
    dx_fence_store_load();
    wake_others(c, own, true);
    return timed_out;
}

static enum dx_slept sleep_in(struct dx_channel *c, struct dx_cell *cell, uint32_t armed,
                              const struct dx_wait *wait, int64_t timeout_ns)
{
    if (DX_CELL_KIND(armed) != DX_PARK_DOORBELL || c->region.link == NULL ||
        !dx_link_is_sole(c->region.link))
        return dx_cell_wait(cell, armed, wait, timeout_ns);
    uint32_t own = (uint32_t)(cell - c->cells);
    /* A15 <- R15: before the look at the cell. */
    uint32_t before = dx_load_acquire(&c->sleepers[own]);
    if (dx_cell_rung(cell, armed))
        return DX_SLEPT_RUNG;
    /* S8 <-> S7: the cell was armed before. */
    bool timed_out;
    if (dx_exchange_acqrel(&c->hearing, 1u) == 0) {
        timed_out = hear_for_all(c, own, armed, timeout_ns);
    } else {
        DX_FAULT(CELL_SLEEPS);
        timed_out = sleep_privately(&c->sleepers[own], before, timeout_ns);
    }
    return dx_cell_slept(cell, armed, timed_out);
}

void dx_channel_woken(struct dx_channel *c, uint32_t cell, int64_t asleep_since_ns)
{
    uint64_t control = dx_histogram_control(c);
    /* Of two kernels the clocks differ. */
    if (!dx_histogram_is_on(control) || c->wakes == NULL || dx_channel_is_remote(c))
        return;
    struct dx_recorder *r = &c->wakes[cell];
    if (r->control != control)
        dx_recorder_find(r, c, control, dx_histogram_of_wake(&c->geometry, cell));
    /* Relaxed: A10 in dx_cell_rung. It is input. */
    int64_t rung_ns = (int64_t)dx_load_relaxed(&c->cells[cell].rung_ns);
    int64_t now = dx_clock_ns();
    /* Every one: a wake-up is dear anyway. */
    if (r->lines != NULL && rung_ns >= asleep_since_ns && rung_ns <= now)
        dx_recorder_add(r, (uint64_t)(now - rung_ns));
}

enum dx_slept dx_channel_sleep(struct dx_channel *c, struct dx_cell *cell, uint32_t armed,
                               const struct dx_wait *wait, int64_t timeout_ns)
{
    bool on = dx_histogram_is_on(dx_histogram_control(c));
    int64_t since = dx_unlikely(on) ? dx_clock_ns() : 0;
    enum dx_slept slept = sleep_in(c, cell, armed, wait, timeout_ns);
    if (dx_unlikely(on) && slept == DX_SLEPT_RUNG)
        dx_channel_woken(c, (uint32_t)(cell - c->cells), since);
    return slept;
}
