/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and who serves them: given out and back, pools, copies, and calls in both directions. */
#include "pair.h"

static const struct dx_config config = {
    .slots = 4, .request_capacity = 64, .response_capacity = 64};

static struct pair *served_pair(void **state)
{
    struct pair *p = pair_new(state, &config);
    pair_serve_one(p);
    return p;
}

static void when_every_slot_is_taken_there_is_none(void **state)
{
    struct pair *p = served_pair(state);
    struct dx_caller *fifth = NULL;
    for (int i = 0; i < 4; i++)
        (void)pair_caller(p);
    assert_status(dx_caller_open(p->host, 0, &fifth), DX_ERR_NO_SLOT);
    assert_detail("4 slots");
    assert_null(fifth);
    int64_t start = dx_clock_ns();
    assert_status(dx_caller_open(p->host, 30 * MS, &fifth), DX_ERR_NO_SLOT);
    assert_elapsed(start, 30 * MS, SLACK);
    /* Those who have one are not disturbed. */
    for (int i = 0; i < 4; i++)
        assert_status(pair_echo(p->callers[i], (uint64_t)i, PATIENCE), DX_OK);
}

struct opening {
    struct dx_channel *channel;
    struct dx_caller *caller;
    dx_status status;
};

static void *open_patiently(void *user)
{
    struct opening *o = user;
    o->status = dx_caller_open(o->channel, PATIENCE, &o->caller);
    return NULL;
}

static void a_slot_that_comes_free_is_given_to_who_waits(void **state)
{
    struct pair *p = served_pair(state);
    struct opening o = {.channel = p->host};
    pthread_t thread;
    for (int i = 0; i < 4; i++)
        (void)pair_caller(p);
    assert_int_equal(pthread_create(&thread, NULL, open_patiently, &o), 0);
    dx_caller_close(p->callers[--p->callers_count]);
    (void)pthread_join(thread, NULL);
    assert_status(o.status, DX_OK);
    p->callers[p->callers_count++] = o.caller;
    assert_status(pair_echo(o.caller, 1, PATIENCE), DX_OK);
}

#define QUEUE 8

/* Threads that wait for the only slot, and in which order they got it. */
struct queue {
    struct dx_channel *channel;
    _Atomic uint32_t got;
    uint32_t turns[QUEUE];
};

struct turn {
    struct queue *queue;
    uint32_t number;
};

static void *take_a_turn(void *user)
{
    struct turn *turn = user;
    struct dx_caller *caller = NULL;
    if (dx_caller_open(turn->queue->channel, PATIENCE, &caller) != DX_OK)
        return NULL;
    turn->queue->turns[atomic_fetch_add(&turn->queue->got, 1)] = turn->number;
    dx_caller_close(caller);
    return NULL;
}

static uint32_t queue_length(struct dx_channel *channel)
{
    uint32_t length = 0;
    (void)pthread_mutex_lock(&channel->lock);
    for (const struct dx_slot_wait *w = channel->slot_waits; w != NULL; w = w->next)
        length++;
    (void)pthread_mutex_unlock(&channel->lock);
    return length;
}

static void slots_are_given_in_the_order_in_which_they_were_asked_for(void **state)
{
    struct pair *p = served_pair(state);
    struct queue queue = {.channel = p->host};
    struct turn turns[QUEUE];
    pthread_t threads[QUEUE];
    for (int i = 0; i < 4; i++)
        (void)pair_caller(p);
    for (uint32_t i = 0; i < QUEUE; i++) {
        turns[i] = (struct turn){&queue, i};
        assert_int_equal(pthread_create(&threads[i], NULL, take_a_turn, &turns[i]), 0);
        while (queue_length(p->host) != i + 1)
            (void)sched_yield();
    }
    dx_caller_close(p->callers[--p->callers_count]);
    for (uint32_t i = 0; i < QUEUE; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(queue.got, QUEUE);
    for (uint32_t i = 0; i < QUEUE; i++)
        assert_int_equal(queue.turns[i], i);
    assert_int_equal(queue_length(p->host), 0);
}

static void a_thread_that_is_cancelled_leaves_the_queue(void **state)
{
    struct pair *p = served_pair(state);
    struct queue queue = {.channel = p->host};
    struct turn turn = {&queue, 0};
    pthread_t thread;
    for (int i = 0; i < 4; i++)
        (void)pair_caller(p);
    assert_int_equal(pthread_create(&thread, NULL, take_a_turn, &turn), 0);
    while (queue_length(p->host) != 1)
        (void)sched_yield();
    assert_int_equal(pthread_cancel(thread), 0);
    (void)pthread_join(thread, NULL);
    assert_int_equal(queue_length(p->host), 0);
    dx_caller_close(p->callers[--p->callers_count]);
    assert_status(pair_echo(pair_caller(p), 1, PATIENCE), DX_OK);
}

static void a_slot_goes_on_where_its_last_caller_left_it(void **state)
{
    struct pair *p = served_pair(state);
    for (uint32_t i = 0; i < 50; i++) {
        struct dx_caller *caller = pair_caller(p);
        assert_int_equal(caller->slot, 0);
        assert_int_equal(caller->sequence, 3 * i);
        for (uint64_t k = 0; k < 3; k++)
            assert_status(pair_echo(caller, k, PATIENCE), DX_OK);
        pair_close_callers(p);
    }
    /* Also one that has never called. */
    (void)pair_caller(p);
    pair_close_callers(p);
    assert_status(pair_echo(pair_caller(p), 7, PATIENCE), DX_OK);
}

static void a_caller_gives_back_no_more_than_its_own_slot(void **state)
{
    struct pair *p = served_pair(state);
    struct dx_caller *callers[3];
    for (int i = 0; i < 3; i++)
        callers[i] = pair_caller(p);
    dx_caller_close(callers[1]);
    dx_caller_close(NULL);
    assert_status(dx_caller_open(p->host, 0, &p->callers[1]), DX_OK);
    assert_int_equal(p->callers[1]->slot, 1);
    for (int i = 0; i < 3; i++)
        assert_status(pair_echo(p->callers[i], (uint64_t)i, PATIENCE), DX_OK);
}

static void a_side_without_slots_cannot_call_and_is_not_served(void **state)
{
    struct pair *p = served_pair(state);
    struct dx_caller *caller = NULL;
    assert_status(dx_caller_open(p->guest, 0, &caller), DX_ERR_NO_SLOT);
    assert_detail("guest_slots");
    assert_status(dx_serve(p->host, test_handler, &p->desk, NULL), DX_ERR_INVALID);
    assert_detail("nothing to serve");
}

static void guest_calls_and_host_serves(void **state)
{
    const struct dx_config guests = {
        .guest_slots = 3, .request_capacity = 64, .response_capacity = 64};
    struct pair *p = pair_new(state, &guests);
    assert_int_equal(dx_channel_slots(p->host), 0);
    assert_int_equal(dx_channel_slots(p->guest), 3);
    p->desk.serving = p->host;
    serving_start(&p->serving, p->host, test_handler, &p->desk, (struct dx_serve_options){0});
    struct dx_stats stats;
    struct dx_caller *caller = pair_caller_of(p, p->guest);
    for (uint64_t i = 0; i < 100; i++)
        assert_status(pair_echo(caller, i, PATIENCE), DX_OK);
    assert_status(dx_stats_read(p->host, DX_STATS_GUEST_CALLERS, &stats), DX_OK);
    assert_int_equal(stats.calls, 100);
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_SERVERS, &stats), DX_OK);
    assert_int_equal(stats.calls, 100);
    assert_status(dx_stats_read(p->host, DX_STATS_GUEST_SERVERS, &stats), DX_OK);
    assert_int_equal(stats.calls, 0);
}

static void both_sides_call_at_the_same_time(void **state)
{
    struct dx_config both = config;
    struct serving host_serves;
    both.guest_slots = 4;
    struct pair *p = pair_new(state, &both);
    pair_serve_one(p);
    serving_start(&host_serves, p->host, test_handler, &p->desk, (struct dx_serve_options){0});
    struct dx_caller *callers[4];
    for (int i = 0; i < 4; i++)
        callers[i] = pair_caller_of(p, i % 2 != 0 ? p->guest : p->host);
    unsigned wrong = 0;
    for (uint64_t round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < 4; i++)
            calling_start(&p->calls[i], callers[i], TYPE_ECHO, round * 4 + i, PATIENCE);
        for (uint64_t i = 0; i < 4; i++)
            wrong +=
                calling_join(&p->calls[i]) != DX_OK || p->calls[i].response != p->calls[i].request;
    }
    dx_stop(p->host);
    dx_status ended = serving_join(&host_serves);
    assert_int_equal(wrong, 0);
    assert_status(ended, DX_ERR_STOPPED);
    assert_int_equal(atomic_load(&p->desk.runs), 200);
}

/* Blocks in the handler, changes the request in the region meanwhile, and returns the echo. */
static uint64_t echo_of_changed_request(struct pair *p, uint32_t flags)
{
    struct dx_caller *caller = pair_caller(p);
    pair_serve(p, (struct dx_serve_options){.flags = flags});
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, PATIENCE);
    test_wait(&p->desk.entered);
    const uint64_t changed = 2;
    memcpy(dx_request_at(p->host, caller->slot), &changed, sizeof changed);
    (void)sem_post(&p->desk.release);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    return p->calls[0].response;
}

static void a_copied_request_cannot_be_changed_under_the_handler(void **state)
{
    struct pair *p = pair_new(state, &config);
    assert_int_equal(echo_of_changed_request(p, DX_SERVE_COPY), 1);
    const unsigned char *data = p->desk.latest_data;
    const unsigned char *base = p->guest->region.base;
    assert_true(data < base || data >= base + p->guest->region.bytes);
}

static void a_request_in_place_lies_in_the_region(void **state)
{
    struct pair *p = pair_new(state, &config);
    assert_int_equal(echo_of_changed_request(p, 0), 2);
    assert_ptr_equal(p->desk.latest_data, dx_request_at(p->guest, 0));
}

static void a_pool_serves_every_slot(void **state)
{
    struct dx_config many = config;
    many.slots = 10;
    const uint32_t threads[] = {1, 2, 3, 4, 16};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        struct pair *p = pair_new(state, &many);
        pair_serve(p, (struct dx_serve_options){.threads = threads[i], .flags = DX_SERVE_COPY});
        for (int k = 0; k < 10; k++)
            (void)pair_caller(p);
        for (uint64_t n = 0; n < 200; n++)
            assert_status(pair_echo(p->callers[n % 10], n, PATIENCE), DX_OK);
        assert_int_equal(pair_free(state), 0);
    }
}

/* The slots of one thread of a pool wait for its handler, those of the others do not. */
static void a_slow_handler_delays_only_the_slots_of_its_thread(void **state)
{
    struct pair *p = pair_new(state, &config);
    pair_serve(p, (struct dx_serve_options){.threads = 4});
    for (int i = 0; i < 4; i++)
        (void)pair_caller(p);
    calling_start(&p->calls[0], p->callers[2], TYPE_BLOCK, 1, PATIENCE);
    test_wait(&p->desk.entered);
    for (uint64_t n = 0; n < 50; n++)
        for (int i = 0; i < 4; i++)
            if (i != 2)
                assert_status(pair_echo(p->callers[i], n, PATIENCE), DX_OK);
    (void)sem_post(&p->desk.release);
    assert_status(calling_join(&p->calls[0]), DX_OK);
}

static void a_channel_is_served_once_at_a_time_and_by_sixteen_at_most(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_serve_options options = {.threads = 17};
    assert_status(dx_serve(p->guest, test_handler, &p->desk, &options), DX_ERR_INVALID);
    assert_detail("17");
    options.threads = UINT32_MAX;
    assert_status(dx_serve(p->guest, test_handler, &p->desk, &options), DX_ERR_INVALID);
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    assert_status(dx_serve(p->guest, test_handler, &p->desk, NULL), DX_ERR_BUSY);
    assert_status(pair_echo(caller, 2, PATIENCE), DX_OK);
}

static void host_may_call_before_the_guest_comes(void **state)
{
    struct pair *p = pair_host(state, &config);
    for (int i = 0; i < 3; i++)
        calling_start(&p->calls[i], pair_caller(p), TYPE_ECHO, (uint64_t)i, PATIENCE);
    pair_attach(p, NULL);
    pair_serve_one(p);
    for (int i = 0; i < 3; i++) {
        assert_status(calling_join(&p->calls[i]), DX_OK);
        assert_int_equal(p->calls[i].response, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(when_every_slot_is_taken_there_is_none),
        PAIR_TEST(a_slot_that_comes_free_is_given_to_who_waits),
        PAIR_TEST(slots_are_given_in_the_order_in_which_they_were_asked_for),
        PAIR_TEST(a_thread_that_is_cancelled_leaves_the_queue),
        PAIR_TEST(a_slot_goes_on_where_its_last_caller_left_it),
        PAIR_TEST(a_caller_gives_back_no_more_than_its_own_slot),
        PAIR_TEST(a_side_without_slots_cannot_call_and_is_not_served),
        PAIR_TEST(guest_calls_and_host_serves),
        PAIR_TEST(both_sides_call_at_the_same_time),
        PAIR_TEST(a_copied_request_cannot_be_changed_under_the_handler),
        PAIR_TEST(a_request_in_place_lies_in_the_region),
        PAIR_TEST(a_pool_serves_every_slot),
        PAIR_TEST(a_slow_handler_delays_only_the_slots_of_its_thread),
        PAIR_TEST(a_channel_is_served_once_at_a_time_and_by_sixteen_at_most),
        PAIR_TEST(host_may_call_before_the_guest_comes),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
