/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on the queue of a pair, and what became of them. */
#ifndef DX_TEST_QUEUED_H
#define DX_TEST_QUEUED_H

#include "atomic.h"
#include "pair.h"
#include "queue.h"

#define QUEUED_MAX 16u

/* Completions, in the order in which they came. */
struct queued {
    struct dx_completion done[QUEUED_MAX];
    uint32_t count;
};

/* A pair in which both sides sleep at once, and do not look at the other one's life: a ring that is
 * lost is a hang. */
static inline struct pair *queued_sleepers(void **state, struct dx_config config)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.spin_max = wait.spin_min = wait.spin_start = 0;
    config.wait = &wait;
    struct pair *p = pair_new(state, &config);
    p->host->liveness_ns = FAR_OFF;
    p->guest->liveness_ns = FAR_OFF;
    return p;
}

static inline void queued_open(struct pair *p, uint32_t depth)
{
    assert_status(dx_queue_open(p->host, depth, &p->queue), DX_OK);
}

/* The request is the tag. */
static inline dx_status queued_submit(struct pair *p, uint64_t tag, uint32_t type,
                                      int64_t timeout_ns)
{
    return dx_queue_submit(p->queue, tag, type, &tag, sizeof tag, timeout_ns);
}

/* Waits for exactly so many, which are there or come. */
static inline void queued_await(struct pair *p, struct queued *q, uint32_t count)
{
    assert_status(dx_queue_wait(p->queue, count, PATIENCE, q->done, count, &q->count), DX_OK);
    assert_int_equal(q->count, count);
}

/* Gives all of them back. */
static inline void queued_seen(struct pair *p, struct queued *q)
{
    while (q->count > 0)
        assert_status(dx_queue_seen(p->queue, &q->done[--q->count]), DX_OK);
}

/* All slots of the queue have been greeted: what is submitted is sent at once. */
static inline void queued_greet(struct pair *p, uint32_t depth)
{
    struct queued q;
    for (uint64_t tag = 0; tag < depth; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, depth);
    queued_seen(p, &q);
    atomic_store(&p->desk.runs, 0u);
}

static inline const struct dx_completion *queued_find(const struct queued *q, uint64_t tag)
{
    const struct dx_completion *found = NULL;
    for (uint32_t i = 0; i < q->count; i++) {
        if (q->done[i].tag != tag)
            continue;
        assert_null(found); /* each once */
        found = &q->done[i];
    }
    return found;
}

/* This one came, with an echo of its tag. */
static inline void queued_check_echo(const struct queued *q, uint64_t tag)
{
    const struct dx_completion *done = queued_find(q, tag);
    assert_non_null(done);
    assert_status(done->result, DX_OK);
    assert_int_equal(done->bytes, sizeof tag);
    assert_memory_equal(done->data, &tag, sizeof tag);
}

/* This one came, without an answer. */
static inline void queued_check_failure(const struct queued *q, uint64_t tag, dx_status result)
{
    const struct dx_completion *done = queued_find(q, tag);
    assert_non_null(done);
    assert_status(done->result, result);
    assert_null(done->data);
    assert_int_equal(done->bytes, 0);
}

static inline void queued_await_parked(const struct pair *p, uint32_t cell)
{
    while (dx_load_seqcst(&p->host->cells[cell].armed) == 0)
        (void)sched_yield();
}

static inline uint32_t queued_cell_of_server(const struct pair *p)
{
    return dx_cell_of_worker(p->host->geometry.slots, DX_GUEST, 0);
}

#endif
