/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are answered later: by any thread, once, and what ends them otherwise. */
#include "later.h"

static const struct dx_config config = {
    .slots = 8, .guest_slots = 1, .request_capacity = 64, .response_capacity = 64};

/* The thread that serves goes on meanwhile. */
static void any_thread_answers_in_any_order(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 8);
    for (uint64_t tag = 0; tag < 6; tag++)
        assert_status(queued_submit(p, tag, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 6);
    for (uint64_t tag = 6; tag < 8; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 2);
    queued_check_echo(&q, 6);
    queued_check_echo(&q, 7);
    queued_seen(p, &q);
    for (uint32_t i = 6; i-- > 0;) {
        uint64_t tag = later_tag(&desk.kept[i]);
        assert_status(later_answer(&desk.kept[i], 0), DX_OK);
        queued_await(p, &q, 1);
        queued_check_echo(&q, tag);
        queued_seen(p, &q);
    }
    assert_int_equal(desk.count, 6);
}

static void a_caller_that_blocks_gets_its_answer(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    later_serve(p, (struct dx_serve_options){0});
    calling_start(&p->calls[0], pair_caller(p), TYPE_LATER, 77, PATIENCE);
    later_await(p, 1);
    assert_status(later_answer(&desk.kept[0], 0), DX_OK);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_int_equal(p->calls[0].response, 77);
}

static void what_was_taken_up_can_be_waited_for(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct queued q;
    enum dx_progress progress;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 2);
    for (uint64_t round = 0; round < 50; round++) { /* in the first, no server knows the slot */
        assert_status(queued_submit(p, round, TYPE_LATER, PATIENCE), DX_OK);
        assert_status(
            dx_queue_wait_progress(p->queue, round, DX_PROGRESS_TAKEN_UP, PATIENCE, &progress),
            DX_OK);
        assert_int_equal(progress, DX_PROGRESS_TAKEN_UP);
        assert_status(dx_queue_wait_progress(p->queue, round, DX_PROGRESS_ENDED, MS, &progress),
                      DX_ERR_TIMEOUT);
        assert_int_equal(progress, DX_PROGRESS_TAKEN_UP);
        later_await(p, 1);
        assert_status(later_answer(&desk.kept[0], 0), DX_OK);
        assert_status(
            dx_queue_wait_progress(p->queue, round, DX_PROGRESS_ENDED, PATIENCE, &progress), DX_OK);
        assert_int_equal(progress, DX_PROGRESS_ENDED);
        queued_await(p, &q, 1);
        queued_check_echo(&q, round);
        queued_seen(p, &q);
        desk.count = 0;
    }
    /* What is answered at once goes past that. */
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(dx_queue_wait_progress(p->queue, 1, DX_PROGRESS_TAKEN_UP, PATIENCE, &progress),
                  DX_OK);
    assert_int_equal(progress, DX_PROGRESS_ENDED);
    assert_status(dx_queue_wait_progress(p->queue, 2, DX_PROGRESS_ENDED, 0, &progress),
                  DX_ERR_INVALID);
    assert_status(dx_queue_wait_progress(p->queue, 1, DX_PROGRESS_SENT, 0, &progress),
                  DX_ERR_INVALID);
}

static void a_deadline_ends_the_wait_for_it(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    enum dx_progress progress;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, 5 * MS), DX_OK);
    assert_status(dx_queue_wait_progress(p->queue, 1, DX_PROGRESS_TAKEN_UP, PATIENCE, &progress),
                  DX_OK);
    assert_int_equal(progress, DX_PROGRESS_ENDED);
}

static void a_request_is_answered_once(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_TWICE, PATIENCE), DX_OK);
    later_await(p, 1);
    assert_status(desk.second, DX_ERR_INVALID);
    assert_status(later_answer(&desk.kept[0], 5), DX_OK);
    assert_status(dx_answer(&desk.kept[0].token, 0, 6), DX_ERR_INVALID);
    assert_detail("answered before");
    assert_status(dx_token_check(&desk.kept[0].token), DX_ERR_INVALID);
    assert_status(dx_token_wait(&desk.kept[0].token, DX_FOREVER), DX_ERR_INVALID);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
    assert_int_equal(q.done[0].status, 5);
    queued_seen(p, &q);
    /* Nor does an old token name the next request of that slot. */
    assert_status(queued_submit(p, 2, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 2);
    assert_status(dx_answer(&desk.kept[0].token, 0, 6), DX_ERR_INVALID);
    assert_status(later_answer(&desk.kept[1], 0), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 2);
    const struct dx_token never = {{0}};
    assert_status(dx_answer(&never, 0, 0), DX_ERR_STOPPED);
}

static void a_response_that_does_not_fit_is_refused(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 1);
    assert_status(dx_answer(&desk.kept[0].token, 65, 0), DX_ERR_RESPONSE_TOO_LARGE);
    assert_detail("65 bytes: there is room for 64");
    queued_await(p, &q, 1);
    queued_check_failure(&q, 1, DX_ERR_RESPONSE_TOO_LARGE);
}

/* The caller's memory changes meanwhile; each has a copy of its own. */
static void copies_of_requests_stay_as_they_were(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){.flags = DX_SERVE_COPY});
    queued_open(p, 8);
    for (uint64_t tag = 0; tag < 8; tag++)
        assert_status(queued_submit(p, tag, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 8);
    for (uint32_t slot = 0; slot < 8; slot++)
        memset(dx_request_at(p->host, slot), 0xee, 64);
    for (uint32_t i = 0; i < 8; i++)
        assert_status(later_answer(&desk.kept[i], 0), DX_OK);
    queued_await(p, &q, 8);
    for (uint64_t tag = 0; tag < 8; tag++)
        queued_check_echo(&q, tag);
}

static void a_cancel_is_seen_and_wakes_who_waits_for_it(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_LATER, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    later_await(p, 1);
    assert_status(dx_token_check(&desk.kept[0].token), DX_OK);
    assert_status(dx_token_wait(&desk.kept[0].token, MS), DX_ERR_TIMEOUT);
    struct waiting w;
    waiting_start(&w, &desk.kept[0].token);
    assert_status(dx_queue_cancel(p->queue, 1), DX_OK);
    assert_status(waiting_join(&w), DX_ERR_CANCELLED);
    assert_status(dx_token_check(&desk.kept[0].token), DX_ERR_CANCELLED);
    queued_await(p, &q, 1);
    queued_check_failure(&q, 1, DX_ERR_CANCELLED);
    queued_seen(p, &q);
    /* Its slot is in use until it is answered. */
    assert_status(dx_queue_wait_slot(p->queue, MS), DX_ERR_TIMEOUT);
    assert_status(later_answer(&desk.kept[0], 0), DX_ERR_CANCELLED);
    assert_status(dx_queue_wait_slot(p->queue, PATIENCE), DX_OK);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 2);
}

static void the_end_of_the_callers_side_wakes_who_waits_for_it(void **state)
{
    struct pair *p = queued_sleepers(state, config);
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_LATER, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    later_await(p, 1);
    struct waiting w;
    waiting_start(&w, &desk.kept[0].token);
    dx_queue_close(p->queue); /* which cancels */
    p->queue = NULL;
    assert_status(waiting_join(&w), DX_ERR_CANCELLED);
    assert_status(dx_close(p->host), DX_OK);
    p->host = NULL;
    assert_status(serving_join(&p->serving), DX_ERR_PEER_CLOSED);
    assert_status(later_answer(&desk.kept[0], 0), DX_ERR_CANCELLED);
}

static void stop_wakes_who_waits_and_answers_nothing(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 2);
    for (uint64_t tag = 0; tag < 2; tag++)
        assert_status(queued_submit(p, tag, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 2);
    struct waiting w;
    waiting_start(&w, &desk.kept[0].token);
    dx_stop(p->guest);
    assert_status(waiting_join(&w), DX_ERR_STOPPED);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_int_equal(dx_queue_progress(p->queue, 0), DX_PROGRESS_TAKEN_UP);
    for (uint32_t i = 0; i < 2; i++)
        assert_status(later_answer(&desk.kept[i], 0), DX_OK);
    queued_await(p, &q, 2);
    queued_check_echo(&q, 0);
    queued_check_echo(&q, 1);
}

/* A handler that ends its thread ends dx_serve. What is pending stays so, and who serves next does
 * not handle it again. */
static void what_is_pending_outlives_a_server(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 8);
    for (uint64_t tag = 0; tag < 4; tag++)
        assert_status(queued_submit(p, tag, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 4);
    assert_status(queued_submit(p, 4, TYPE_LATER_AND_LEAVE, PATIENCE), DX_OK);
    later_await(p, 5);
    (void)serving_join(&p->serving);
    uint64_t first = later_tag(&desk.kept[0]);
    assert_status(later_answer(&desk.kept[0], 0), DX_OK);
    later_serve(p, (struct dx_serve_options){0});
    assert_status(queued_submit(p, 5, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 2);
    queued_check_echo(&q, first);
    queued_check_echo(&q, 5);
    queued_seen(p, &q);
    uint64_t tags[4];
    for (uint32_t i = 0; i < 4; i++) {
        tags[i] = later_tag(&desk.kept[i + 1]);
        assert_status(later_answer(&desk.kept[i + 1], 0), DX_OK);
    }
    queued_await(p, &q, 4);
    for (uint32_t i = 0; i < 4; i++)
        queued_check_echo(&q, tags[i]);
    assert_int_equal(desk.count, 5);
}

static void close_answers_what_is_left(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){.flags = DX_SERVE_COPY});
    queued_open(p, 8);
    for (uint64_t tag = 0; tag < 8; tag++)
        assert_status(queued_submit(p, tag, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 8);
    uint64_t answered = later_tag(&desk.kept[7]);
    assert_status(later_answer(&desk.kept[7], 0), DX_OK);
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    struct waiting w;
    waiting_start(&w, &desk.kept[0].token);
    assert_status(pair_close_guest(p), DX_OK);
    assert_status(waiting_join(&w), DX_ERR_STOPPED);
    queued_await(p, &q, 8);
    for (uint64_t tag = 0; tag < 8; tag++) {
        if (tag == answered)
            queued_check_echo(&q, tag);
        else
            queued_check_failure(&q, tag, DX_ERR_LOST);
    }
    assert_status(dx_answer(&desk.kept[0].token, 0, 0), DX_ERR_STOPPED);
    assert_status(dx_token_check(&desk.kept[0].token), DX_ERR_STOPPED);
}

static int use_copy(void *user)
{
    struct pair *p = user;
    if (dx_answer(&desk.kept[0].token, 0, 0) != DX_ERR_FORKED)
        return 1;
    if (dx_token_check(&desk.kept[0].token) != DX_ERR_FORKED)
        return 2;
    if (dx_close(p->guest) != DX_OK)
        return 3;
    return dx_answer(&desk.kept[0].token, 0, 0) == DX_ERR_STOPPED ? 0 : 4;
}

static void the_child_of_a_fork_answers_nothing(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 1);
    struct waiting w;
    waiting_start(&w, &desk.kept[0].token); /* which has the lock, but for its sleep */
    assert_exited(test_in_child(use_copy, p));
    assert_status(later_answer(&desk.kept[0], 0), DX_OK);
    (void)waiting_join(&w);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
}

static void answers_are_counted(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    struct dx_stats stats;
    later_serve(p, (struct dx_serve_options){0});
    queued_open(p, 4);
    for (uint64_t tag = 0; tag < 4; tag++)
        assert_status(queued_submit(p, tag, TYPE_LATER, PATIENCE), DX_OK);
    later_await(p, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(dx_answer(&desk.kept[i].token, i < 3 ? 8 : 100, 0),
                         i < 3 ? DX_OK : DX_ERR_RESPONSE_TOO_LARGE);
    queued_await(p, &q, 4);
    dx_stop(p->guest);
    (void)serving_join(&p->serving);
    assert_status(dx_stats_read(p->guest, DX_STATS_GUEST_SERVERS, &stats), DX_OK);
    assert_int_equal(stats.calls, 3);
    assert_int_equal(stats.errors, 1);
    assert_int_equal(stats.response_bytes, 24);
    assert_int_equal(stats.request_bytes, 32);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        PAIR_TEST(any_thread_answers_in_any_order),
        PAIR_TEST(a_caller_that_blocks_gets_its_answer),
        PAIR_TEST(what_was_taken_up_can_be_waited_for),
        PAIR_TEST(a_deadline_ends_the_wait_for_it),
        PAIR_TEST(a_request_is_answered_once),
        PAIR_TEST(a_response_that_does_not_fit_is_refused),
        PAIR_TEST(copies_of_requests_stay_as_they_were),
        PAIR_TEST(a_cancel_is_seen_and_wakes_who_waits_for_it),
        PAIR_TEST(the_end_of_the_callers_side_wakes_who_waits_for_it),
        PAIR_TEST(stop_wakes_who_waits_and_answers_nothing),
        PAIR_TEST(what_is_pending_outlives_a_server),
        PAIR_TEST(close_answers_what_is_left),
        PAIR_TEST(the_child_of_a_fork_answers_nothing),
        PAIR_TEST(answers_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
