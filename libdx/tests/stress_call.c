/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads call at once, and every answer is verified: its length and each byte follow from who
 * called and how often. Under ThreadSanitizer this also checks the order of everything that is not
 * atomic: payloads, and what one server leaves to the next. */
#include "atomic.h"
#include "pair.h"

#define CALLERS 8
#define CAPACITY 512u

#ifdef DX_TSAN
#define CALLS 2000u
#else
#define CALLS 6000u
#endif

#define CALL_DEADLINE PATIENCE

/* Who calls, and how often he has: the first bytes of each request. */
struct label {
    uint64_t caller;
    uint64_t number;
};

static uint64_t mix(struct label label, uint64_t salt)
{
    uint64_t x = label.caller * 0x9e3779b97f4a7c15u ^ label.number * 0xbf58476d1ce4e5b9u ^ salt;
    x ^= x >> 29;
    return x * 0x94d049bb133111ebu;
}

static size_t request_bytes(struct label label)
{
    return sizeof label + mix(label, 1) % (CAPACITY - sizeof label + 1);
}

static size_t response_bytes(struct label label)
{
    return mix(label, 2) % (CAPACITY + 1);
}

static void fill(unsigned char *bytes, size_t from, size_t to, struct label label, uint64_t salt)
{
    uint64_t x = mix(label, salt);
    for (size_t i = from; i < to; i++)
        bytes[i] = (unsigned char)((x + i * 0x9d) >> (i & 7));
}

static bool is_filled(const unsigned char *bytes, size_t from, size_t to, struct label label,
                      uint64_t salt)
{
    unsigned char expected[CAPACITY];
    fill(expected, from, to, label, salt);
    return to <= from || memcmp(bytes + from, expected + from, to - from) == 0;
}

/* Answers a request that is whole with the response that follows from it, any other with -1. */
static int32_t verify_and_answer(void *user, const struct dx_request *request,
                                 struct dx_response *response)
{
    struct desk *desk = user;
    struct label label;
    atomic_fetch_add(&desk->runs, 1u);
    if (request->bytes < sizeof label)
        return -1;
    memcpy(&label, request->data, sizeof label);
    if (request->bytes != request_bytes(label) ||
        !is_filled(request->data, sizeof label, request->bytes, label, 3))
        return -1;
    response->bytes = response_bytes(label);
    fill(response->data, 0, response->bytes, label, 4);
    return (int32_t)label.number;
}

/* One calling thread, and what it saw. */
struct client {
    pthread_t thread;
    struct dx_caller *caller;
    uint64_t name;
    uint64_t calls;
    uint64_t failed;  /* not DX_OK */
    uint64_t wrong;   /* DX_OK with a wrong answer */
    dx_status status; /* the first failure */
};

static dx_status call_in_place(struct client *c, struct label label, struct dx_reply *reply)
{
    unsigned char *request = dx_caller_request(c->caller);
    size_t bytes = request_bytes(label);
    memcpy(request, &label, sizeof label);
    fill(request, sizeof label, bytes, label, 3);
    return dx_call_in_place(c->caller, TYPE_ECHO, bytes, reply, CALL_DEADLINE);
}

static dx_status call_by_copy(struct client *c, struct label label, struct dx_reply *reply,
                              unsigned char *response)
{
    unsigned char request[CAPACITY];
    size_t bytes = request_bytes(label);
    memcpy(request, &label, sizeof label);
    fill(request, sizeof label, bytes, label, 3);
    reply->bytes = CAPACITY;
    reply->data = response;
    return dx_call(c->caller, TYPE_ECHO, request, bytes, response, &reply->bytes, &reply->status,
                   CALL_DEADLINE);
}

static void *run_client(void *user)
{
    struct client *c = user;
    for (uint64_t i = 0; i < c->calls; i++) {
        struct label label = {c->name, i};
        struct dx_reply reply = {.bytes = 0};
        unsigned char response[CAPACITY];
        dx_status status =
            i % 2 != 0 ? call_in_place(c, label, &reply) : call_by_copy(c, label, &reply, response);
        watchdog_step();
        if (status != DX_OK) {
            c->status = c->failed++ == 0 ? status : c->status;
            break;
        }
        c->wrong += reply.bytes != response_bytes(label) || reply.status != (int32_t)i ||
                    !is_filled(reply.data, 0, reply.bytes, label, 4);
    }
    return NULL;
}

/* A pair; under ThreadSanitizer on one mapping, as it knows memory by its address. */
static struct pair *stress_pair(void **state, const struct dx_wait *wait)
{
    const struct dx_config config = {.slots = CALLERS,
                                     .request_capacity = CAPACITY,
                                     .response_capacity = CAPACITY,
                                     .wait = wait};
    struct pair *p = pair_new(state, &config);
#ifdef DX_TSAN
    pair_share(p);
#endif
    return p;
}

/* Runs so many clients at once and checks what they saw. */
static void run_clients(struct pair *p, int count, uint64_t calls)
{
    struct client clients[CALLERS];
    for (int i = 0; i < count; i++) {
        clients[i] =
            (struct client){.caller = pair_caller(p), .name = (uint64_t)i + 1, .calls = calls};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < count; i++)
        (void)pthread_join(clients[i].thread, NULL);
    for (int i = 0; i < count; i++) {
        assert_status(clients[i].status, DX_OK);
        assert_int_equal(clients[i].failed, 0);
        assert_int_equal(clients[i].wrong, 0);
    }
}

static void check_counters(const struct pair *p, uint64_t calls)
{
    struct dx_stats callers;
    struct dx_stats servers;
    assert_status(dx_stats_read(p->host, DX_STATS_HOST_CALLERS, &callers), DX_OK);
    assert_status(dx_stats_read(p->host, DX_STATS_GUEST_SERVERS, &servers), DX_OK);
    assert_int_equal(callers.calls, calls);
    assert_int_equal(servers.calls, calls);
    assert_int_equal(callers.errors + callers.timeouts + servers.errors, 0);
    /* One wait a call, and one for each greeting that was not there yet. */
    assert_in_range(callers.spin + callers.yield + callers.park, calls, calls + CALLERS);
    assert_int_equal(atomic_load(&p->desk.runs), calls);
}

static void call_and_verify(void **state, const struct dx_wait *wait)
{
    const uint32_t threads[] = {1, 3};
    for (int i = 0; i < 2; i++) {
        struct pair *p = stress_pair(state, wait);
        serving_start(&p->serving, p->guest, verify_and_answer, &p->desk,
                      (struct dx_serve_options){.threads = threads[i]});
        run_clients(p, CALLERS, CALLS);
        dx_stop(p->guest);
        assert_status(serving_join(&p->serving), DX_ERR_STOPPED);
        check_counters(p, (uint64_t)CALLERS * CALLS);
        assert_int_equal(pair_free(state), 0);
    }
}

static void call_with_park(void **state, enum dx_park park)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.park = park;
    wait.spin_max = wait.spin_start = 200; /* so that many waits get as far as that */
    call_and_verify(state, &wait);
}

static void calls_are_answered_right_with_futexes(void **state)
{
    call_with_park(state, DX_PARK_FUTEX);
}

static void calls_are_answered_right_with_semaphores(void **state)
{
    call_with_park(state, DX_PARK_SEM);
}

static void calls_are_answered_right_with_a_timed_poll(void **state)
{
    call_with_park(state, DX_PARK_POLL);
}

static void calls_are_answered_right_by_spinning_for_ever(void **state)
{
    call_with_park(state, DX_PARK_NEVER);
}

static void call_with_preset(void **state, const char *name)
{
    struct dx_wait wait;
    assert_status(dx_wait_preset(name, &wait), DX_OK);
    call_and_verify(state, &wait);
}

static void calls_are_answered_right_with_balanced(void **state)
{
    call_with_preset(state, "balanced");
}

static void calls_are_answered_right_with_latency(void **state)
{
    call_with_preset(state, "latency");
}

static void calls_are_answered_right_with_throughput(void **state)
{
    call_with_preset(state, "throughput");
}

static void calls_are_answered_right_with_low_power(void **state)
{
    call_with_preset(state, "low-power");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(calls_are_answered_right_with_futexes),
        PAIR_TEST(calls_are_answered_right_with_semaphores),
        PAIR_TEST(calls_are_answered_right_with_a_timed_poll),
        PAIR_TEST(calls_are_answered_right_by_spinning_for_ever),
        PAIR_TEST(calls_are_answered_right_with_balanced),
        PAIR_TEST(calls_are_answered_right_with_latency),
        PAIR_TEST(calls_are_answered_right_with_throughput),
        PAIR_TEST(calls_are_answered_right_with_low_power),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
