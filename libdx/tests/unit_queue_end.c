/* SPDX-License-Identifier: Apache-2.0 */
/* How calls of a queue end without an answer: deadlines, cancels, peers that go, stop and close. */
#include "queued.h"
#include "slot.h"

static const struct dx_config config = {
    .slots = 4, .guest_slots = 1, .request_capacity = 64, .response_capacity = 64};

static void a_deadline_ends_its_own_call(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve(p, (struct dx_serve_options){.threads = 2});
    queued_open(p, 2);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, 20 * MS), DX_OK);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_OK);
    int64_t start = dx_clock_ns();
    queued_await(p, &q, 2);
    queued_check_echo(&q, 2);
    queued_check_failure(&q, 1, DX_ERR_TIMEOUT);
    assert_elapsed(start, 0, SLACK);
    queued_seen(p, &q);
    assert_status(queued_submit(p, 3, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 3);
}

/* It is in use for as long as the handler is. */
static void the_slot_of_a_call_that_was_given_up_is_waited_for(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 1);
    queued_greet(p, 1);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, MS), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    queued_await(p, &q, 1);
    queued_check_failure(&q, 1, DX_ERR_TIMEOUT);
    queued_seen(p, &q);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_ERR_NO_SLOT);
    assert_detail("1 calls given up");
    assert_null(dx_queue_request(p->queue));
    assert_status(dx_queue_wait(p->queue, 1, DX_FOREVER, q.done, 1, &q.count), DX_OK);
    assert_int_equal(q.count, 0); /* nothing is in flight */
    assert_status(dx_queue_wait_slot(p->queue, MS), DX_ERR_TIMEOUT);
    pair_open_desk(p);
    assert_status(dx_queue_wait_slot(p->queue, PATIENCE), DX_OK);
    assert_status(dx_queue_wait_slot(p->queue, 0), DX_OK);
    assert_status(queued_submit(p, 3, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 3);
}

/* Polling looks at the deadlines, too. */
static void a_deadline_is_noticed_by_polling(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q = {.count = 0};
    pair_serve_one(p);
    queued_open(p, 2);
    queued_greet(p, 2);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, MS), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    while (q.count == 0)
        if (dx_queue_poll(p->queue, q.done, 1, &q.count) != DX_OK)
            fail();
    queued_check_failure(&q, 1, DX_ERR_TIMEOUT);
}

static void the_end_of_a_wait_ends_no_call(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 2);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, DX_FOREVER), DX_OK);
    assert_status(dx_queue_wait(p->queue, 1, 5 * MS, q.done, 1, &q.count), DX_ERR_TIMEOUT);
    assert_int_equal(q.count, 0);
    assert_status(dx_queue_wait(p->queue, 1, 0, q.done, 1, &q.count), DX_ERR_TIMEOUT);
    assert_int_equal(dx_queue_in_flight(p->queue), 1);
    (void)sem_post(&p->desk.release);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
}

/* The handler of one is entered, that of the others never is. */
static void a_cancelled_call_that_has_not_begun_is_never_begun(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 4);
    queued_greet(p, 4);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    for (uint64_t tag = 2; tag < 5; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(dx_queue_cancel(p->queue, 3), DX_OK);
    assert_int_equal(dx_queue_progress(p->queue, 3), DX_PROGRESS_ENDED);
    assert_status(dx_queue_cancel(p->queue, 3), DX_OK); /* it has ended already */
    assert_status(dx_queue_cancel(p->queue, 1), DX_OK);
    queued_await(p, &q, 2);
    queued_check_failure(&q, 3, DX_ERR_CANCELLED);
    queued_check_failure(&q, 1, DX_ERR_CANCELLED);
    queued_seen(p, &q);
    assert_status(dx_queue_cancel(p->queue, 3), DX_ERR_INVALID);
    pair_open_desk(p);
    queued_await(p, &q, 2);
    queued_check_echo(&q, 2);
    queued_check_echo(&q, 4);
    queued_seen(p, &q);
    assert_int_equal(atomic_load(&p->desk.runs), 3);
}

static void what_is_answered_is_not_cancelled(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 1);
    queued_greet(p, 1);
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    while (dx_queue_progress(p->queue, 1) != DX_PROGRESS_ENDED)
        (void)sched_yield();
    assert_status(dx_queue_cancel(p->queue, 1), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
}

static void without_a_peer_a_call_waits_for_one(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct queued q;
    queued_open(p, 4);
    assert_status(queued_submit(p, 1, TYPE_ECHO, MS), DX_OK);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_failure(&q, 1, DX_ERR_NO_PEER);
    queued_seen(p, &q);
    assert_int_equal(dx_queue_progress(p->queue, 2), DX_PROGRESS_SENT);
    pair_attach(p, NULL);
    pair_serve_one(p);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 2);
    queued_seen(p, &q);
    assert_status(queued_submit(p, 3, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 3);
}

/* What was sent fails, each call once. What comes later waits for the next peer. */
static void the_end_of_a_peer_ends_what_was_sent(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 4);
    queued_greet(p, 4);
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    for (uint64_t tag = 1; tag < 4; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(pair_close_guest(p), DX_OK);
    queued_await(p, &q, 3);
    for (uint64_t tag = 1; tag < 4; tag++)
        queued_check_failure(&q, tag, DX_ERR_PEER_CLOSED);
    queued_seen(p, &q);
    assert_status(queued_submit(p, 4, TYPE_ECHO, PATIENCE), DX_OK);
    pair_attach(p, NULL);
    pair_serve_one(p);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 4);
    queued_seen(p, &q);
    /* The next server lets go of what the last one had. */
    for (uint64_t tag = 5; tag < 9; tag++)
        if (queued_submit(p, tag, TYPE_ECHO, PATIENCE) == DX_ERR_NO_SLOT) {
            assert_status(dx_queue_wait_slot(p->queue, PATIENCE), DX_OK);
            assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
        }
    queued_await(p, &q, 4);
    for (uint64_t tag = 5; tag < 9; tag++)
        queued_check_echo(&q, tag);
}

/* It was noticed when no call was in flight that could have been told. */
static void the_end_of_a_peer_that_no_call_was_told_of_fails_the_next(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 1);
    queued_greet(p, 1);
    assert_true(dx_queue_fd(p->queue) >= 0); /* so that polling looks at the peer */
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(pair_close_guest(p), DX_OK);
    for (int i = 0; i < 3; i++) {
        assert_status(dx_queue_poll(p->queue, q.done, 1, &q.count), DX_OK);
        assert_int_equal(q.count, 0);
    }
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_failure(&q, 1, DX_ERR_PEER_CLOSED);
}

/* It was not sent when the end was noticed, and goes out to nobody. */
static void a_call_is_greeted_by_a_server_that_has_ended(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    queued_open(p, 1);
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(pair_close_guest(p), DX_OK);
    assert_status(dx_queue_poll(p->queue, q.done, 1, &q.count), DX_OK);
    assert_int_equal(q.count, 0);
    struct dx_server_line *line = p->queue->flights[0].server;
    dx_server_publish(line, dx_word(p->queue->epoch, DX_SERVER_READY, 0));
    queued_await(p, &q, 1);
    queued_check_failure(&q, 1, DX_ERR_PEER_CLOSED);
}

static void stop_ends_all_at_once(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    p->host->liveness_ns = FAR_OFF;
    pair_serve_one(p);
    queued_open(p, 3);
    queued_greet(p, 3);
    for (uint64_t tag = 0; tag < 3; tag++)
        assert_status(queued_submit(p, tag, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    dx_stop(p->host);
    int64_t start = dx_clock_ns();
    queued_await(p, &q, 3);
    assert_elapsed(start, 0, SLACK);
    for (uint64_t tag = 0; tag < 3; tag++)
        queued_check_failure(&q, tag, DX_ERR_STOPPED);
    queued_seen(p, &q);
    assert_status(queued_submit(p, 9, TYPE_ECHO, PATIENCE), DX_ERR_STOPPED);
    assert_status(dx_queue_wait_slot(p->queue, PATIENCE), DX_ERR_STOPPED);
}

/* Slots come back also while a handler has a request. The next queue waits until it lets go. */
static void close_gives_up_what_is_in_flight(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 4);
    queued_greet(p, 4);
    for (uint64_t tag = 0; tag < 4; tag++)
        assert_status(queued_submit(p, tag, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    dx_queue_close(p->queue);
    queued_open(p, 4);
    assert_status(queued_submit(p, 5, TYPE_ECHO, PATIENCE), DX_ERR_NO_SLOT);
    assert_detail("4 calls given up");
    pair_open_desk(p);
    for (uint64_t tag = 6; tag < 10; tag++) {
        assert_status(dx_queue_wait_slot(p->queue, PATIENCE), DX_OK);
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
        queued_await(p, &q, 1);
        queued_check_echo(&q, tag);
        queued_seen(p, &q);
    }
    assert_int_equal(atomic_load(&p->desk.runs), 5);
    dx_queue_close(p->queue);
    p->queue = NULL;
    assert_status(pair_echo(pair_caller(p), 7, PATIENCE), DX_OK);
}

/* In the child of a fork. 0, or which function was wrong. */
static int use_copy(void *user)
{
    struct pair *p = user;
    struct dx_queue *none;
    struct dx_completion done;
    uint32_t count = 1;
    uint64_t word = 0;
    if (dx_queue_submit(p->queue, 7, TYPE_ECHO, &word, sizeof word, PATIENCE) != DX_ERR_FORKED ||
        dx_queue_submit_in_place(p->queue, 7, TYPE_ECHO, 0, PATIENCE) != DX_ERR_FORKED ||
        dx_queue_request(p->queue) != NULL)
        return 1;
    if (dx_queue_poll(p->queue, &done, 1, &count) != DX_ERR_FORKED || count != 0 ||
        dx_queue_wait(p->queue, 1, PATIENCE, &done, 1, &count) != DX_ERR_FORKED ||
        dx_queue_wait_slot(p->queue, PATIENCE) != DX_ERR_FORKED ||
        dx_queue_flush(p->queue) != DX_ERR_FORKED)
        return 2;
    if (dx_queue_cancel(p->queue, 1) != DX_ERR_FORKED ||
        dx_queue_progress(p->queue, 1) != DX_PROGRESS_NONE ||
        dx_queue_seen(p->queue, &done) != DX_ERR_FORKED)
        return 3;
    if (dx_queue_open(p->host, 1, &none) != DX_ERR_FORKED || none != NULL)
        return 4;
    dx_queue_close(p->queue);
    return dx_close(p->host) == DX_OK ? 0 : 5;
}

static void the_child_of_a_fork_can_only_close_its_copy(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 2);
    queued_greet(p, 2);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    assert_exited(test_in_child(use_copy, p));
    pair_open_desk(p);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_deadline_ends_its_own_call),
        PAIR_TEST(the_slot_of_a_call_that_was_given_up_is_waited_for),
        PAIR_TEST(a_deadline_is_noticed_by_polling),
        PAIR_TEST(the_end_of_a_wait_ends_no_call),
        PAIR_TEST(a_cancelled_call_that_has_not_begun_is_never_begun),
        PAIR_TEST(what_is_answered_is_not_cancelled),
        PAIR_TEST(without_a_peer_a_call_waits_for_one),
        PAIR_TEST(the_end_of_a_peer_ends_what_was_sent),
        PAIR_TEST(the_end_of_a_peer_that_no_call_was_told_of_fails_the_next),
        PAIR_TEST(a_call_is_greeted_by_a_server_that_has_ended),
        PAIR_TEST(stop_ends_all_at_once),
        PAIR_TEST(close_gives_up_what_is_in_flight),
        PAIR_TEST(the_child_of_a_fork_can_only_close_its_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
