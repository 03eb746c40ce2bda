/* SPDX-License-Identifier: Apache-2.0 */
/* Many calls in flight from one thread: what is submitted comes back, each once, with its tag. */
#include "queued.h"
#include "slot.h"

static const struct dx_config config = {
    .slots = 8, .guest_slots = 1, .request_capacity = 64, .response_capacity = 64};

/* A serving thread of two blocks, and has two of the four slots. */
static void completions_come_in_any_order_each_with_its_tag(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued first;
    struct queued q;
    pair_serve(p, (struct dx_serve_options){.threads = 2});
    queued_open(p, 4);
    queued_greet(p, 4);
    assert_status(queued_submit(p, 100, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered);
    for (uint64_t tag = 101; tag < 104; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &first, 2);
    assert_int_equal(dx_queue_in_flight(p->queue), 2);
    (void)sem_post(&p->desk.release);
    queued_await(p, &q, 2);
    queued_check_echo(&q, 100);
    for (uint64_t tag = 101; tag < 104; tag++)
        queued_check_echo(queued_find(&first, tag) != NULL ? &first : &q, tag);
    queued_seen(p, &first);
    queued_seen(p, &q);
    assert_int_equal(dx_queue_in_flight(p->queue), 0);
}

static void a_request_is_built_in_place(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 2);
    for (uint64_t tag = 0; tag < 2; tag++) {
        void *at = dx_queue_request(p->queue);
        assert_non_null(at);
        assert_ptr_equal(dx_queue_request(p->queue), at); /* until it is submitted */
        memcpy(at, &tag, sizeof tag);
        assert_status(dx_queue_submit_in_place(p->queue, tag, TYPE_ECHO, sizeof tag, PATIENCE),
                      DX_OK);
    }
    assert_null(dx_queue_request(p->queue));
    queued_await(p, &q, 2);
    queued_check_echo(&q, 0);
    queued_check_echo(&q, 1);
}

static void the_handlers_status_comes_with_the_completion(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    int32_t status = -77;
    pair_serve_one(p);
    queued_open(p, 1);
    assert_status(dx_queue_submit(p->queue, 5, TYPE_STATUS, &status, sizeof status, DX_FOREVER),
                  DX_OK);
    queued_await(p, &q, 1);
    assert_status(q.done[0].result, DX_OK);
    assert_int_equal(q.done[0].status, -77);
}

/* Slots of a response that the program reads are not used again. */
static void a_response_stays_until_it_is_given_back(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued first;
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 2);
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &first, 1);
    for (uint64_t tag = 2; tag < 50; tag++) {
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
        assert_status(queued_submit(p, 1000, TYPE_ECHO, PATIENCE), DX_ERR_NO_SLOT);
        assert_detail("1 completions not given back");
        queued_await(p, &q, 1);
        queued_check_echo(&q, tag);
        queued_seen(p, &q);
    }
    queued_check_echo(&first, 1);
    queued_seen(p, &first);
}

/* Whatever the tags are, and however they lie in the table. */
static void any_tags_are_found(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 8);
    for (uint64_t round = 0; round < 400; round++) {
        for (uint64_t i = 0; i < 8; i++)
            assert_status(queued_submit(p, (i << 61) ^ (i * round) ^ i, TYPE_ECHO, PATIENCE),
                          DX_OK);
        for (uint64_t i = 0; i < 8; i++)
            assert_true(dx_queue_progress(p->queue, (i << 61) ^ (i * round) ^ i) !=
                        DX_PROGRESS_NONE);
        queued_await(p, &q, 8);
        for (uint64_t i = 0; i < 8; i++)
            queued_check_echo(&q, (i << 61) ^ (i * round) ^ i);
        queued_seen(p, &q);
        assert_int_equal(dx_queue_progress(p->queue, 0), DX_PROGRESS_NONE);
    }
}

static void a_batch_costs_at_most_one_ring(void **state)
{
    struct queued q;
    struct dx_stats before;
    struct dx_stats stats;
    struct pair *p = queued_sleepers(state, config);
    pair_serve_one(p);
    queued_open(p, 8);
    queued_greet(p, 8);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &before), DX_OK);
    queued_await_parked(p, queued_cell_of_server(p));
    for (uint64_t tag = 0; tag < 8; tag++)
        assert_status(queued_submit(p, tag, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_status(dx_queue_flush(p->queue), DX_OK);
    test_wait(&p->desk.entered); /* so that it is awake, and stays so */
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_int_equal(stats.rings - before.rings, 1);
    pair_open_desk(p);
    queued_await(p, &q, 8);
    queued_seen(p, &q);
}

/* Which it does before anything can be sent to it. */
static void a_server_that_sleeps_is_woken_to_greet(void **state)
{
    struct queued q;
    struct pair *p = queued_sleepers(state, config);
    struct dx_stats stats = {.parks = 0};
    pair_serve_one(p);
    while (stats.parks == 0) { /* after that it looks at nothing before it is rung */
        assert_int_equal(dx_stats_read(p->guest, DX_STATS_GUEST_SERVERS, &stats), DX_OK);
        (void)sched_yield();
    }
    watchdog_step();
    queued_open(p, 4);
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
    /* The end of a sleep's time is not what found it. */
    assert_status(dx_stats_read(p->guest, DX_STATS_GUEST_SERVERS, &stats), DX_OK);
    assert_int_equal(stats.rescued, 0);
}

static void one_who_sleeps_is_woken(void **state)
{
    struct queued q;
    struct pair *p = queued_sleepers(state, config);
    pair_serve_one(p);
    queued_open(p, 4);
    for (uint64_t tag = 0; tag < 4000; tag += 4) {
        for (uint64_t i = 0; i < 4; i++)
            assert_status(queued_submit(p, tag + i, TYPE_ECHO, PATIENCE), DX_OK);
        queued_await(p, &q, 4);
        for (uint64_t i = 0; i < 4; i++)
            queued_check_echo(&q, tag + i);
        queued_seen(p, &q);
    }
}

static void polling_alone_brings_everything(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q = {.count = 0};
    pair_serve_one(p);
    queued_open(p, 3);
    assert_status(dx_queue_poll(p->queue, q.done, 1, &q.count), DX_OK);
    assert_int_equal(q.count, 0);
    for (uint64_t tag = 0; tag < 3; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    for (uint32_t had = 0; had < 3; had += q.count) {
        if (dx_queue_poll(p->queue, q.done, 1, &q.count) != DX_OK)
            fail();
        if (q.count != 0)
            queued_check_echo(&q, q.done[0].tag);
        for (uint32_t i = 0; i < q.count; i++)
            assert_status(dx_queue_seen(p->queue, &q.done[i]), DX_OK);
    }
}

static void a_wait_is_for_no_more_than_is_in_flight(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pair_serve_one(p);
    queued_open(p, 4);
    assert_status(dx_queue_wait(p->queue, 4, DX_FOREVER, q.done, 4, &q.count), DX_OK);
    assert_int_equal(q.count, 0);
    assert_status(queued_submit(p, 9, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(dx_queue_wait(p->queue, 4, DX_FOREVER, q.done, 4, &q.count), DX_OK);
    queued_check_echo(&q, 9);
}

static void bad_use_is_told_and_nothing_is_lost(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    struct dx_queue *none = p->queue;
    uint64_t word = 0;
    assert_status(dx_queue_open(p->host, 0, &none), DX_ERR_INVALID);
    assert_null(none);
    assert_status(dx_queue_open(p->host, 9, &none), DX_ERR_NO_SLOT);
    assert_detail("8 slots");
    pair_serve_one(p);
    queued_open(p, 1);
    assert_status(dx_queue_open(p->host, 8, &none), DX_ERR_NO_SLOT);
    assert_status(dx_queue_submit(p->queue, 1, TYPE_ECHO, &word, 65, PATIENCE),
                  DX_ERR_REQUEST_TOO_LARGE);
    assert_status(dx_queue_submit(p->queue, 1, 7, &word, 8, PATIENCE), DX_ERR_TYPE);
    assert_status(dx_queue_submit(p->queue, 1, TYPE_ECHO, &word, 8, 0), DX_ERR_INVALID);
    assert_status(dx_queue_cancel(p->queue, 1), DX_ERR_INVALID);
    assert_detail("tag 1");
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_OK);
    assert_status(queued_submit(p, 1, TYPE_ECHO, PATIENCE), DX_ERR_INVALID);
    assert_detail("tag 1");
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_ERR_NO_SLOT);
    assert_status(dx_queue_wait(p->queue, 0, PATIENCE, q.done, 1, &q.count), DX_ERR_INVALID);
    assert_status(dx_queue_wait(p->queue, 2, PATIENCE, q.done, 1, &q.count), DX_ERR_INVALID);
    queued_await(p, &q, 1);
    queued_check_echo(&q, 1);
    const struct dx_completion done = q.done[0];
    queued_seen(p, &q);
    assert_status(dx_queue_seen(p->queue, &done), DX_ERR_INVALID);
    const struct dx_completion never = {.reserved = {99, 1}};
    assert_status(dx_queue_seen(p->queue, &never), DX_ERR_INVALID);
    assert_status(dx_close(p->host), DX_ERR_BUSY);
}

static void *wait_for_one(void *user)
{
    struct pair *p = user;
    struct queued q;
    dx_status status = dx_queue_wait(p->queue, 1, PATIENCE, q.done, 1, &q.count);
    return status == DX_OK && q.count == 1 ? user : NULL;
}

static void a_second_thread_is_told_that_it_is_one_too_many(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    pthread_t thread;
    void *ended;
    pair_serve_one(p);
    queued_open(p, 2);
    assert_status(queued_submit(p, 1, TYPE_BLOCK, PATIENCE), DX_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_one, p), 0);
    test_wait(&p->desk.entered);
    while (dx_load_relaxed(&p->queue->entered) == 0)
        (void)sched_yield();
    assert_status(dx_queue_poll(p->queue, q.done, 1, &q.count), DX_ERR_BUSY);
    assert_int_equal(q.count, 0);
    assert_status(queued_submit(p, 2, TYPE_ECHO, PATIENCE), DX_ERR_BUSY);
    assert_status(dx_queue_wait(p->queue, 1, PATIENCE, q.done, 1, &q.count), DX_ERR_BUSY);
    assert_status(dx_queue_flush(p->queue), DX_ERR_BUSY);
    assert_status(dx_queue_cancel(p->queue, 1), DX_ERR_BUSY);
    assert_null(dx_queue_request(p->queue));
    pair_open_desk(p);
    assert_int_equal(pthread_join(thread, &ended), 0);
    assert_non_null(ended);
}

/* The server says what cannot be: that call fails, and no other. */
static void an_answer_that_cannot_be_fails_its_call_alone(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct queued q;
    queued_open(p, 3);
    for (uint32_t slot = 0; slot < 3; slot++)
        dx_store_release(&p->guest->server_lines[slot].word,
                         dx_word(p->host->epoch, DX_SERVER_READY, 0));
    for (uint64_t tag = 0; tag < 3; tag++)
        assert_status(queued_submit(p, tag, TYPE_ECHO, PATIENCE), DX_OK);
    for (uint32_t slot = 0; slot < 3; slot++) {
        struct dx_server_line *line = &p->guest->server_lines[slot];
        dx_store_relaxed(&line->response_bytes, slot == 1 ? 65u : 8u);
        dx_store_relaxed(&line->result, slot == 2 ? 99u : 0u);
        memcpy(dx_response_at(p->guest, slot), &(uint64_t){slot}, sizeof(uint64_t));
        dx_store_release(&line->word, dx_word(p->host->epoch, DX_SERVER_ACKNOWLEDGED, 1));
    }
    queued_await(p, &q, 3);
    queued_check_echo(&q, 0);
    queued_check_failure(&q, 1, DX_ERR_CORRUPT);
    queued_check_failure(&q, 2, DX_ERR_CORRUPT);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        PAIR_TEST(completions_come_in_any_order_each_with_its_tag),
        PAIR_TEST(a_request_is_built_in_place),
        PAIR_TEST(the_handlers_status_comes_with_the_completion),
        PAIR_TEST(a_response_stays_until_it_is_given_back),
        PAIR_TEST(any_tags_are_found),
        PAIR_TEST(a_batch_costs_at_most_one_ring),
        PAIR_TEST(a_server_that_sleeps_is_woken_to_greet),
        PAIR_TEST(one_who_sleeps_is_woken),
        PAIR_TEST(polling_alone_brings_everything),
        PAIR_TEST(a_wait_is_for_no_more_than_is_in_flight),
        PAIR_TEST(bad_use_is_told_and_nothing_is_lost),
        PAIR_TEST(a_second_thread_is_told_that_it_is_one_too_many),
        PAIR_TEST(an_answer_that_cannot_be_fails_its_call_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
