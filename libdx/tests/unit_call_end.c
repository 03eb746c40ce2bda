/* SPDX-License-Identifier: Apache-2.0 */
/* How things end: dx_stop, dx_close, and a side that goes away in good order. */
#include "atomic.h"
#include "pair.h"

static const struct dx_config config = {
    .slots = 2, .guest_slots = 1, .request_capacity = 64, .response_capacity = 64};

/* Whoever is told of a stop or a close by nothing but its next look at the other side's lock comes
 * too late. */
#define RARE_LOOKS FAR_OFF
#define AT_ONCE SLACK

static void look_rarely(struct pair *p)
{
    p->host->liveness_ns = RARE_LOOKS;
    p->guest->liveness_ns = RARE_LOOKS;
}

static void await_parked(const struct pair *p, uint32_t cell)
{
    while (dx_load_seqcst(&p->host->cells[cell].armed) == 0)
        (void)sched_yield();
}

static uint32_t cell_of_server(const struct pair *p)
{
    return dx_cell_of_worker(p->host->geometry.slots, DX_GUEST, 0);
}

static void stop_ends_a_call_in_flight_at_once_and_every_later_one(void **state)
{
    struct pair *p = pair_new(state, &config);
    look_rarely(p);
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    struct dx_caller *late = NULL;
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, PATIENCE);
    test_wait(&p->desk.entered);
    await_parked(p, caller->slot);
    int64_t start = dx_clock_ns();
    dx_stop(p->host);
    assert_status(calling_join(&p->calls[0]), DX_ERR_STOPPED);
    assert_elapsed(start, 0, AT_ONCE);
    start = dx_clock_ns();
    assert_status(pair_echo(caller, 2, PATIENCE), DX_ERR_STOPPED);
    assert_status(dx_caller_open(p->host, PATIENCE, &late), DX_ERR_STOPPED);
    assert_elapsed(start, 0, AT_ONCE);
    dx_stop(p->host); /* again is allowed */
}

static void stop_ends_serving_at_once(void **state)
{
    struct pair *p = pair_new(state, &config);
    look_rarely(p);
    pair_serve_one(p);
    await_parked(p, cell_of_server(p));
    int64_t start = dx_clock_ns();
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_elapsed(start, 0, AT_ONCE);
    assert_status(dx_serve(p->guest, test_handler, &p->desk, NULL), DX_ERR_STOPPED);
}

/* The server goes to sleep just behind its answer. Wherever between its last look at the stop and
 * its sleep the stop comes, the server must not sleep on. */
static void stop_at_any_moment_is_noticed_at_once(void **state)
{
    struct dx_config sleepy = config;
    struct dx_wait wait;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.spin_max = wait.spin_min = wait.spin_start = 0;
    sleepy.wait = &wait;
    struct pair *p = pair_new(state, &sleepy);
    look_rarely(p);
    struct dx_caller *caller = pair_caller(p);
    caller->waiter.limit = UINT32_MAX; /* sees the answer as soon as it is there */
    for (int i = 0; i < 3000; i++) {
        pair_serve_one(p);
        assert_status(pair_echo(caller, (uint64_t)i, PATIENCE), DX_OK);
        for (int k = 0; k < i % 100; k++)
            dx_relax_pause();
        int64_t start = dx_clock_ns();
        dx_stop(p->guest);
        assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
        assert_elapsed(start, 0, AT_ONCE);
        dx_store_relaxed(&p->guest->stopping, 0u); /* the next server may serve again */
    }
}

static void stop_ends_a_wait_for_a_slot(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct dx_caller *third = NULL;
    (void)pair_caller(p);
    (void)pair_caller(p);
    dx_stop(p->host);
    assert_status(dx_caller_open(p->host, DX_FOREVER, &third), DX_ERR_STOPPED);
    assert_null(third);
}

static void a_handler_may_stop_its_own_channel_and_its_answer_arrives(void **state)
{
    struct pair *p = pair_new(state, &config);
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    uint64_t request = 9;
    uint64_t response = 0;
    size_t bytes = sizeof response;
    assert_status(
        dx_call(caller, TYPE_STOP, &request, sizeof request, &response, &bytes, NULL, PATIENCE),
        DX_OK);
    assert_int_equal(response, 9);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
}

static void a_pool_stops_as_a_whole_when_its_handlers_are_done(void **state)
{
    struct pair *p = pair_new(state, &config);
    pair_serve(p, (struct dx_serve_options){.threads = 4});
    struct dx_caller *caller = pair_caller(p);
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, PATIENCE);
    test_wait(&p->desk.entered);
    dx_stop(p->guest);
    assert_status(dx_close(p->guest), DX_ERR_BUSY); /* a handler runs */
    assert_true(p->calls[0].started);
    (void)sem_post(&p->desk.release);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
}

static struct dx_channel *to_stop;

static void stop_in_signal_handler(int signal_number)
{
    (void)signal_number;
    dx_stop(to_stop);
}

static void a_signal_handler_may_stop_a_channel(void **state)
{
    struct pair *p = pair_new(state, &config);
    struct sigaction action = {.sa_handler = stop_in_signal_handler};
    struct sigaction before;
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    to_stop = p->host;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    calling_start(&p->calls[0], caller, TYPE_BLOCK, 1, PATIENCE);
    test_wait(&p->desk.entered);
    int64_t start = dx_clock_ns();
    assert_int_equal(pthread_kill(p->calls[0].thread, SIGUSR1), 0);
    dx_status status = calling_join(&p->calls[0]);
    (void)sigaction(SIGUSR1, &before, NULL);
    assert_status(status, DX_ERR_STOPPED);
    assert_elapsed(start, 0, AT_ONCE);
}

static void a_channel_in_use_cannot_be_closed_and_goes_on(void **state)
{
    struct pair *p = pair_new(state, &config);
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    assert_status(dx_close(p->host), DX_ERR_BUSY);
    assert_detail("1 callers");
    assert_status(dx_close(p->guest), DX_ERR_BUSY);
    assert_detail("dx_serve runs");
    assert_int_equal(dx_channel_peer(p->host), DX_PEER_ALIVE);
    assert_int_equal(dx_channel_peer(p->guest), DX_PEER_ALIVE);
    assert_status(pair_echo(caller, 2, PATIENCE), DX_OK);
    assert_status(dx_close(NULL), DX_OK);
}

static void closing_guest_ends_calls_that_wait_for_it(void **state)
{
    struct pair *p = pair_new(state, &config); /* nobody serves */
    look_rarely(p);
    struct dx_caller *caller = pair_caller(p);
    calling_start(&p->calls[0], caller, TYPE_ECHO, 1, PATIENCE);
    await_parked(p, caller->slot);
    int64_t start = dx_clock_ns();
    assert_status(pair_close_guest(p), DX_OK);
    assert_status(calling_join(&p->calls[0]), DX_ERR_PEER_CLOSED);
    assert_elapsed(start, 0, AT_ONCE);
    assert_int_equal(dx_channel_peer(p->host), DX_PEER_CLOSED);
}

/* Slot 1's handler keeps the only serving thread while slot 0's request comes in. Stopped behind
 * that handler, the server leaves the request as it is. */
static void closing_guest_ends_a_call_in_flight_and_the_next_guest_does_not_run_it(void **state)
{
    struct pair *p = pair_new(state, &config);
    look_rarely(p);
    pair_serve_one(p);
    struct dx_caller *pending = pair_caller(p);
    struct dx_caller *blocks = pair_caller(p);
    assert_status(pair_echo(pending, 1, PATIENCE), DX_OK);
    calling_start(&p->calls[0], blocks, TYPE_BLOCK, 2, PATIENCE);
    test_wait(&p->desk.entered);
    calling_start(&p->calls[1], pending, TYPE_ECHO, 3, PATIENCE);
    await_parked(p, pending->slot);
    dx_stop(p->guest);
    (void)sem_post(&p->desk.release);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    int64_t start = dx_clock_ns();
    assert_status(pair_close_guest(p), DX_OK);
    assert_status(calling_join(&p->calls[1]), DX_ERR_PEER_CLOSED);
    assert_elapsed(start, 0, AT_ONCE);

    uint32_t runs = atomic_load(&p->desk.runs);
    pair_attach(p, NULL);
    pair_serve_one(p);
    assert_status(pair_echo(pending, 4, PATIENCE), DX_OK);
    assert_status(pair_echo(blocks, 5, PATIENCE), DX_OK);
    assert_int_equal(atomic_load(&p->desk.runs), runs + 2);
}

/* The next guest serves what the last one left, if its caller still waits. */
static void a_call_in_flight_goes_on_with_the_next_guest(void **state)
{
    struct pair *p = pair_new(state, &config);
    look_rarely(p);
    struct dx_caller *caller = pair_caller(p);
    pair_serve_one(p);
    assert_status(pair_echo(caller, 1, PATIENCE), DX_OK);
    dx_stop(p->guest);
    assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
    /* Without a sleeper there is nobody whom the closing guest could ring. */
    struct dx_wait spin;
    assert_status(dx_wait_preset("balanced", &spin), DX_OK);
    spin.park = DX_PARK_NEVER;
    caller->waiter.wait = spin;
    calling_start(&p->calls[0], caller, TYPE_ECHO, 2, PATIENCE);
    assert_status(pair_close_guest(p), DX_OK);
    pair_attach(p, NULL);
    pair_serve_one(p);
    assert_status(calling_join(&p->calls[0]), DX_OK);
    assert_int_equal(p->calls[0].response, 2);
    assert_int_equal(atomic_load(&p->desk.runs), 2);
}

static void closing_host_ends_serving_and_the_guests_calls(void **state)
{
    struct pair *p = pair_new(state, &config);
    look_rarely(p);
    pair_serve_one(p);
    await_parked(p, cell_of_server(p));
    struct dx_caller *caller = pair_caller_of(p, p->guest);
    calling_start(&p->calls[0], caller, TYPE_ECHO, 1, PATIENCE);
    await_parked(p, caller->slot);
    int64_t start = dx_clock_ns();
    dx_status closed = dx_close(p->host);
    p->host = NULL;
    assert_status(closed, DX_OK);
    assert_status(serving_join(&p->serving), DX_ERR_PEER_CLOSED);
    assert_status(calling_join(&p->calls[0]), DX_ERR_PEER_CLOSED);
    assert_elapsed(start, 0, AT_ONCE);
    assert_int_equal(dx_channel_peer(p->guest), DX_PEER_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(stop_ends_a_call_in_flight_at_once_and_every_later_one),
        PAIR_TEST(stop_ends_serving_at_once),
        PAIR_TEST(stop_at_any_moment_is_noticed_at_once),
        PAIR_TEST(stop_ends_a_wait_for_a_slot),
        PAIR_TEST(a_handler_may_stop_its_own_channel_and_its_answer_arrives),
        PAIR_TEST(a_pool_stops_as_a_whole_when_its_handlers_are_done),
        PAIR_TEST(a_signal_handler_may_stop_a_channel),
        PAIR_TEST(a_channel_in_use_cannot_be_closed_and_goes_on),
        PAIR_TEST(closing_guest_ends_calls_that_wait_for_it),
        PAIR_TEST(closing_guest_ends_a_call_in_flight_and_the_next_guest_does_not_run_it),
        PAIR_TEST(a_call_in_flight_goes_on_with_the_next_guest),
        PAIR_TEST(closing_host_ends_serving_and_the_guests_calls),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
