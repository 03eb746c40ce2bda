/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that run out of time, and what becomes of them and of those that follow. */
#include "pair.h"

static const struct dx_config config = {
    .slots = 2, .request_capacity = 64, .response_capacity = 64};

/* A call that the server has begun and cannot end, and that its caller has given up. On a loaded
 * machine the deadline may pass before the server begins: then again, with a longer one. */
static void give_up_a_begun_call(struct pair *p, struct dx_caller *caller)
{
    for (int64_t timeout = 20 * MS; sem_trywait(&p->desk.entered) != 0; timeout *= 2) {
        calling_start(&p->calls[0], caller, TYPE_BLOCK, 0xdead, timeout);
        assert_status(calling_join(&p->calls[0]), DX_ERR_TIMEOUT);
    }
}

static struct dx_caller *served_caller(void **state, struct pair **p)
{
    *p = pair_new(state, &config);
    pair_serve_one(*p);
    struct dx_caller *caller = pair_caller(*p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    return caller;
}

static void a_call_without_a_guest_ends_at_its_deadline(void **state)
{
    struct pair *p = pair_host(state, &config);
    struct dx_caller *caller = pair_caller(p);
    struct dx_stats stats;
    int64_t start = dx_clock_ns();
    assert_status(pair_echo(caller, 1, 50 * MS), DX_ERR_NO_PEER);
    assert_elapsed(start, 50 * MS, SLACK);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_int_equal(stats.errors, 1);
    assert_int_equal(stats.timeouts, 1);
    pair_attach(p, NULL);
    pair_serve_one(p);
    assert_status(pair_echo(caller, 2, PATIENCE), DX_OK);
}

static void call_times_out_when_guest_is_silent(void **state)
{
    struct pair *p = pair_new(state, &config); /* attached, and nobody serves */
    struct dx_caller *caller = pair_caller(p);
    int64_t start = dx_clock_ns();
    assert_status(pair_echo(caller, 1, 50 * MS), DX_ERR_TIMEOUT);
    assert_elapsed(start, 50 * MS, SLACK);
    pair_serve_one(p);
    assert_status(pair_echo(caller, 2, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&p->desk.runs), 1);
}

static void call_times_out_in_every_kind_of_sleep(void **state)
{
    for (uint32_t park = DX_PARK_NEVER; park <= DX_PARK_POLL; park++) {
        struct dx_wait wait;
        struct dx_config with = config;
        assert_status(dx_wait_preset("balanced", &wait), DX_OK);
        wait.park = park;
        with.wait = &wait;
        struct pair *p = pair_new(state, &with);
        pair_serve_one(p);
        struct dx_caller *caller = pair_caller(p);
        give_up_a_begun_call(p, caller);
        /* Its successor waits for it and times out, too. */
        int64_t start = dx_clock_ns();
        assert_status(pair_echo(caller, 1, 50 * MS), DX_ERR_TIMEOUT);
        assert_elapsed(start, 50 * MS, SLACK);
        (void)sem_post(&p->desk.release);
        assert_status(pair_echo(caller, 2, PATIENCE), DX_OK);
        assert_int_equal(pair_free(state), 0);
    }
}

static void a_late_answer_is_not_given_to_the_next_call(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    for (uint64_t i = 0; i < 20; i++) {
        give_up_a_begun_call(p, caller);
        if (i % 2 != 0) /* either before the next call or while it waits */
            (void)sem_post(&p->desk.release);
        calling_start(&p->calls[0], caller, TYPE_ECHO, i, PATIENCE);
        if (i % 2 == 0)
            (void)sem_post(&p->desk.release);
        assert_status(calling_join(&p->calls[0]), DX_OK);
        assert_int_equal(p->calls[0].response, i);
    }
}

static void the_next_call_is_not_sent_while_the_old_one_runs(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    give_up_a_begun_call(p, caller);
    uint32_t sequence = caller->sequence;
    uint32_t runs = atomic_load(&p->desk.runs);
    unsigned char before[64];
    unsigned char request[64];
    memset(request, 0xab, sizeof request);
    memcpy(before, dx_request_at(p->host, caller->slot), sizeof before);
    for (int i = 0; i < 3; i++) {
        int64_t start = dx_clock_ns();
        assert_status(
            dx_call(caller, TYPE_ECHO, request, sizeof request, NULL, NULL, NULL, 20 * MS),
            DX_ERR_TIMEOUT);
        assert_elapsed(start, 20 * MS, SLACK);
    }
    assert_int_equal(caller->sequence, sequence);
    assert_int_equal(atomic_load(&p->desk.runs), runs);
    /* The handler may be reading there. */
    assert_memory_equal(before, dx_request_at(p->host, caller->slot), sizeof before);
    (void)sem_post(&p->desk.release);
    assert_status(pair_echo(caller, 3, PATIENCE), DX_OK);
}

/* A call waits for the one before it "within its own deadline", which is one for both waits. */
static void one_deadline_covers_the_wait_for_the_old_call_and_the_new_one(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    give_up_a_begun_call(p, caller);
    calling_start(&p->calls[1], caller, TYPE_BLOCK, 2, 2 * SECOND);
    test_pass_time(3 * SECOND / 2);
    (void)sem_post(&p->desk.release); /* the old one ends, the new one begins and hangs */
    assert_status(calling_join(&p->calls[1]), DX_ERR_TIMEOUT);
    assert_in_range(p->calls[1].elapsed_ns, 0, 3 * SECOND);
}

static void a_request_cannot_be_built_while_the_old_one_may_be_read(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    assert_non_null(dx_caller_request(caller));
    give_up_a_begun_call(p, caller);
    assert_null(dx_caller_request(caller));
    assert_null(dx_caller_reply(caller).data);
    (void)sem_post(&p->desk.release);
    while (dx_caller_request(caller) == NULL)
        (void)sched_yield();
    memcpy(dx_caller_request(caller), "abc", 3);
    struct dx_reply reply;
    assert_status(dx_call_in_place(caller, TYPE_ECHO, 3, &reply, PATIENCE), DX_OK);
    assert_memory_equal(reply.data, "abc", 3);
}

static void a_call_in_place_waits_for_the_old_one_as_well(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    struct dx_reply reply = {.bytes = 99};
    give_up_a_begun_call(p, caller);
    assert_status(dx_call_in_place(caller, TYPE_ECHO, 3, &reply, 20 * MS), DX_ERR_TIMEOUT);
    assert_int_equal(reply.bytes, 0);
    assert_null(reply.data);
}

static void a_call_that_was_given_up_before_it_began_is_never_run(void **state)
{
    struct pair *p;
    struct dx_caller *first = served_caller(state, &p);
    struct dx_caller *second = pair_caller(p);
    assert_status(pair_echo(second, 1, PATIENCE), DX_OK);
    calling_start(&p->calls[1], second, TYPE_BLOCK, 2, PATIENCE);
    test_wait(&p->desk.entered); /* the only serving thread is busy */
    uint32_t runs = atomic_load(&p->desk.runs);
    assert_status(pair_echo(first, 3, 20 * MS), DX_ERR_TIMEOUT);
    assert_null(dx_caller_request(first));
    (void)sem_post(&p->desk.release);
    assert_status(calling_join(&p->calls[1]), DX_OK);
    assert_status(pair_echo(first, 4, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&p->desk.runs), runs + 1);
}

static void a_slot_whose_call_may_still_run_is_given_out_last(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    give_up_a_begun_call(p, caller);
    pair_close_callers(p);
    struct dx_caller *clean = pair_caller(p);
    struct dx_caller *inherits = pair_caller(p);
    assert_int_equal(clean->slot, 1);
    assert_int_equal(inherits->slot, 0);
    /* Its new holder is bound by it as the old one was. */
    assert_null(dx_caller_request(inherits));
    assert_status(pair_echo(inherits, 1, 20 * MS), DX_ERR_TIMEOUT);
    (void)sem_post(&p->desk.release);
    assert_status(pair_echo(inherits, 2, PATIENCE), DX_OK);
    assert_status(pair_echo(clean, 3, PATIENCE), DX_OK);
}

static void a_call_without_a_deadline_waits(void **state)
{
    struct pair *p;
    struct dx_caller *caller = served_caller(state, &p);
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 5, DX_FOREVER);
    test_wait(&p->desk.entered);
    test_pass_time(100 * MS); /* several looks at whether the other side lives */
    (void)sem_post(&p->desk.release);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_int_equal(p->calls[0].response, 5);
    calling_start(&p->calls[0], caller, TYPE_ECHO, 6, INT64_MAX);
    assert_status(calling_join(&p->calls[0]), DX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(a_call_without_a_guest_ends_at_its_deadline),
        PAIR_TEST(call_times_out_when_guest_is_silent),
        PAIR_TEST(call_times_out_in_every_kind_of_sleep),
        PAIR_TEST(a_late_answer_is_not_given_to_the_next_call),
        PAIR_TEST(the_next_call_is_not_sent_while_the_old_one_runs),
        PAIR_TEST(one_deadline_covers_the_wait_for_the_old_call_and_the_new_one),
        PAIR_TEST(a_request_cannot_be_built_while_the_old_one_may_be_read),
        PAIR_TEST(a_call_in_place_waits_for_the_old_one_as_well),
        PAIR_TEST(a_call_that_was_given_up_before_it_began_is_never_run),
        PAIR_TEST(a_slot_whose_call_may_still_run_is_given_out_last),
        PAIR_TEST(a_call_without_a_deadline_waits),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
