/* SPDX-License-Identifier: Apache-2.0 */
/* What parking costs on this machine, so that DX_ADAPT_COST can spin no longer than that: past
 * the price of a sleep, spinning on has already cost more (Karlin et al. 1991, "Empirical studies
 * of competitive spinning for a shared-memory multiprocessor": within twice the best). */
#include <pthread.h>
#include <stdlib.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "thread.h"
#include "wait.h"
#include "wait_cell.h"

#define ROUNDS 101
#define LOOKS 1000
#define SLEEP_NS 1000000000ll

struct pair {
    struct dx_cell cells[2];
    _Atomic uint32_t turn[2]; /* the round that side k may begin */
    struct dx_wait wait;
    int64_t round_ns[ROUNDS];
};

/* Waits in its cell for its turn, without a spin. */
static void await(struct pair *p, int side, uint32_t round)
{
    /* A8 <- R8: the other side's round. */
    while (dx_load_acquire(&p->turn[side]) != round) {
        uint32_t armed = dx_cell_arm(&p->cells[side], (enum dx_park)p->wait.park);
        dx_fence_store_load();
        if (dx_load_acquire(&p->turn[side]) != round)
            (void)dx_cell_wait(&p->cells[side], armed, &p->wait, SLEEP_NS);
        dx_cell_disarm(&p->cells[side], armed);
    }
}

static void pass(struct pair *p, int side, uint32_t round)
{
    /* R8 -> A8: the round is the other side's. */
    dx_store_release(&p->turn[side], round);
    dx_fence_store_load();
    (void)dx_cell_ring(&p->cells[side]);
}

static void *answer(void *user)
{
    struct pair *p = user;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        await(p, 1, round);
        pass(p, 0, round);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static dx_status start_answering(struct pair *p, pthread_t *thread)
{
    int failed = dx_thread_start(thread, answer, p);
    return failed ? dx_fail(DX_ERR_SYSTEM, "cannot start a thread to measure parking (error %d)",
                            failed)
                  : DX_OK;
}

int64_t dx_wait_look_ps(uint32_t relax)
{
    _Atomic uint64_t word = 0;
    dx_hardware_wait *rest = relax == DX_RELAX_HARDWARE ? dx_hardware_find().wait : NULL;
    int64_t best_ps = INT64_MAX;
    /* The best of a few, as what interrupts us is no part of a look. */
    for (int round = 0; round < 3; round++) {
        int64_t start = dx_clock_ns();
        for (int i = 0; i < LOOKS; i++) {
            /* Relaxed: only the time that a load takes matters. */
            if (dx_load_relaxed(&word) != 0)
                break;
            if (rest != NULL)
                rest(&word, 0, false);
            else if (relax != DX_RELAX_NONE)
                dx_relax_pause();
        }
        int64_t ps = (dx_clock_ns() - start) * 1000 / LOOKS;
        best_ps = ps < best_ps ? ps : best_ps;
    }
    return best_ps > 0 ? best_ps : 1;
}

dx_status dx_wait_measure(const struct dx_wait *wait, int64_t *park_ns, int64_t *look_ps)
{
    dx_status status = dx_wait_check(wait);
    if (status != DX_OK)
        return status;
    *look_ps = dx_wait_look_ps(wait->relax);
    if (wait->park == DX_PARK_POLL) {
        *park_ns = wait->poll_ns; /* nobody is woken before that */
        return DX_OK;
    }
    struct pair *p = calloc(1, sizeof *p);
    if (p == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory to measure parking");
    p->wait = *wait;
    /* Between two threads of one process there is no doorbell. */
    if (p->wait.park == DX_PARK_NEVER || p->wait.park == DX_PARK_DOORBELL)
        p->wait.park = DX_PARK_FUTEX;
    dx_cell_init(&p->cells[0]);
    dx_cell_init(&p->cells[1]);
    pthread_t thread;
    status = start_answering(p, &thread);
    if (status == DX_OK) {
        for (uint32_t round = 1; round <= ROUNDS; round++) {
            int64_t start = dx_clock_ns();
            pass(p, 1, round);
            await(p, 0, round);
            p->round_ns[round - 1] = dx_clock_ns() - start;
        }
        (void)pthread_join(thread, NULL);
        qsort(p->round_ns, ROUNDS, sizeof *p->round_ns, by_value);
        /* A round trip holds two parks with their wake-ups. */
        *park_ns = p->round_ns[ROUNDS / 2] / 2;
    }
    free(p);
    return status;
}
