/* SPDX-License-Identifier: Apache-2.0 */
/* Many channels, served by one thread. */
#include <pthread.h>

#include "channel.h"
#include "test.h"

#define CHANNELS 12
#define SLOTS 2u

struct place {
    struct dx_channel *host;
    struct dx_channel *guest; /* serves */
    struct dx_server *server;
    struct dx_queue *queue;
    uint64_t served;
    uint64_t answered;
};

struct scene {
    struct place places[CHANNELS];
    pthread_t thread;
    bool started;
    _Atomic uint32_t ended; /* servers that have ended */
    dx_status ends[CHANNELS];
    dx_status failure; /* of a wait itself */
};

static int32_t answer(void *user, const struct dx_request *request, struct dx_response *response)
{
    struct place *p = user;
    p->served++;
    memcpy(response->data, request->data, request->bytes);
    response->bytes = request->bytes;
    return 0;
}

/* Serves all, each until it ends. */
static void *serve(void *user)
{
    struct scene *s = user;
    struct dx_server *servers[CHANNELS];
    struct place *of[CHANNELS];
    uint32_t count = 0;
    for (struct place *p = s->places; p < s->places + CHANNELS; p++) {
        of[count] = p;
        servers[count++] = p->server;
    }
    while (count > 0) {
        uint32_t which = UINT32_MAX;
        dx_status status = dx_servers_wait(servers, count, DX_FOREVER, &which);
        if (status == DX_OK)
            continue;
        if (which >= count) {
            s->failure = status;
            break;
        }
        s->ends[of[which] - s->places] = status;
        (void)dx_server_close(servers[which]);
        of[which]->server = NULL;
        of[which] = of[--count];
        servers[which] = servers[count];
        atomic_fetch_add(&s->ended, 1u);
    }
    return NULL;
}

/* spin: looks before a sleep. Where they sleep nobody looks at the other side's life: a wake-up
 * that is lost is a hang. */
static struct scene *set_scene(void **state, uint32_t spin)
{
    struct dx_wait wait;
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.spin_max = wait.spin_start = spin;
    wait.spin_min = 0;
    const struct dx_config config = {
        .slots = SLOTS, .request_capacity = 64, .response_capacity = 64, .wait = &wait};
    for (struct place *p = s->places; p < s->places + CHANNELS; p++) {
        char url[32];
        assert_status(dx_create("memfd:", &config, &p->host), DX_OK);
        (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(p->host));
        assert_status(dx_attach(url, &wait, 0, &p->guest), DX_OK);
        p->host->liveness_ns = p->guest->liveness_ns = FAR_OFF;
        assert_status(dx_server_open(p->guest, answer, p, NULL, &p->server), DX_OK);
        assert_status(dx_queue_open(p->host, SLOTS, &p->queue), DX_OK);
    }
    return s;
}

static void start(struct scene *s)
{
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    s->started = true;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    for (struct place *p = s->places; p < s->places + CHANNELS; p++)
        if (p->guest != NULL)
            dx_stop(p->guest);
    if (s->started)
        (void)pthread_join(s->thread, NULL);
    int failed = 0;
    for (struct place *p = s->places; p < s->places + CHANNELS; p++) {
        failed |= dx_server_close(p->server) != DX_OK;
        dx_queue_close(p->queue);
        failed |= dx_close(p->guest) != DX_OK || dx_close(p->host) != DX_OK;
    }
    free(s);
    return failed;
}

/* One call, and its answer. */
static void call(struct place *p)
{
    struct dx_completion done;
    uint32_t count;
    uint64_t number = p->answered;
    assert_status(dx_queue_submit(p->queue, 1, DX_TYPE_USER, &number, sizeof number, DX_FOREVER),
                  DX_OK);
    assert_status(dx_queue_wait(p->queue, 1, DX_FOREVER, &done, 1, &count), DX_OK);
    assert_status(done.result, DX_OK);
    assert_memory_equal(done.data, &number, sizeof number);
    assert_status(dx_queue_seen(p->queue, &done), DX_OK);
    p->answered++;
    watchdog_step();
}

static void all_are_served(void **state)
{
    struct scene *s = set_scene(state, 500);
    start(s);
    for (uint32_t i = 0; i < 2000; i++)
        call(&s->places[i * 7 % CHANNELS]);
}

static void all_are_served_in_turns_of_sleep(void **state)
{
    struct scene *s = set_scene(state, 0);
    start(s);
    for (uint32_t i = 0; i < 500; i++)
        call(&s->places[i * 7 % CHANNELS]);
}

struct flood {
    struct place *place;
    _Atomic bool enough;
};

/* Always has something new. */
static void *keep_busy(void *user)
{
    struct flood *f = user;
    while (!atomic_load(&f->enough)) {
        struct dx_completion done[SLOTS];
        uint32_t count;
        for (uint64_t tag = 0; tag < SLOTS; tag++)
            (void)dx_queue_submit(f->place->queue, tag, DX_TYPE_USER, &tag, sizeof tag, DX_FOREVER);
        if (dx_queue_wait(f->place->queue, 1, DX_FOREVER, done, SLOTS, &count) != DX_OK)
            break;
        while (count > 0)
            (void)dx_queue_seen(f->place->queue, &done[--count]);
    }
    return NULL;
}

/* Of two channels that always have something, none waits for more than one turn of the other. */
static void a_busy_channel_delays_others_by_a_turn(void **state)
{
    struct scene *s = set_scene(state, 500);
    struct dx_server *servers[] = {s->places[0].server, s->places[1].server};
    struct flood floods[] = {{.place = &s->places[0]}, {.place = &s->places[1]}};
    pthread_t threads[2];
    uint32_t which;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_busy, &floods[i]), 0);
    for (int turn = 0; turn < 2000; turn++) {
        uint64_t before[] = {s->places[0].served, s->places[1].served};
        assert_status(dx_servers_wait(servers, 2, DX_FOREVER, &which), DX_OK);
        for (int i = 0; i < 2; i++)
            assert_in_range(s->places[i].served - before[i], 0, 2 * SLOTS);
        watchdog_step();
    }
    assert_true(s->places[0].served > 0 && s->places[1].served > 0);
    for (int i = 0; i < 2; i++) {
        atomic_store(&floods[i].enough, true);
        dx_stop(s->places[i].host);
        (void)pthread_join(threads[i], NULL);
    }
}

static void one_that_ends_is_told_and_the_others_go_on(void **state)
{
    struct scene *s = set_scene(state, 0);
    start(s);
    call(&s->places[0]);
    for (uint32_t i = 0; i + 1 < CHANNELS; i++) {
        if (i % 2 == 0) {
            dx_stop(s->places[i].guest);
        } else {
            dx_queue_close(s->places[i].queue);
            s->places[i].queue = NULL;
            assert_status(dx_close(s->places[i].host), DX_OK);
            s->places[i].host = NULL;
        }
        while (atomic_load(&s->ended) <= i)
            (void)sched_yield();
        call(&s->places[CHANNELS - 1]);
    }
    for (uint32_t i = 0; i + 1 < CHANNELS; i++)
        assert_status(s->ends[i], i % 2 == 0 ? DX_ERR_STOPPED : DX_ERR_PEER_CLOSED);
    assert_status(s->failure, DX_OK);
}

static void nothing_new_is_a_timeout(void **state)
{
    struct scene *s = set_scene(state, 10);
    struct dx_server *servers[CHANNELS];
    uint32_t which;
    for (uint32_t i = 0; i < CHANNELS; i++)
        servers[i] = s->places[i].server;
    while (dx_servers_wait(servers, CHANNELS, 0, &which) == DX_OK) /* they greet */
        continue;
    assert_status(dx_servers_wait(servers, CHANNELS, 0, &which), DX_ERR_TIMEOUT);
    int64_t start_ns = dx_clock_ns();
    assert_status(dx_servers_wait(servers, CHANNELS, 5 * MS, &which), DX_ERR_TIMEOUT);
    assert_elapsed(start_ns, 5 * MS, SLACK);
    servers[1] = servers[0]; /* one of them twice */
    assert_status(dx_servers_wait(servers, 2, 0, &which), DX_ERR_BUSY);
    servers[1] = s->places[1].server;
    assert_status(dx_servers_wait(servers, 2, 0, &which), DX_ERR_TIMEOUT);
}

/* Guests of one host at a rendezvous, where all places share one eventfd. */
static void all_places_of_a_host_are_served(void **state)
{
    enum { PLACES = 4 };
    char url[TEST_URL_BYTES];
    struct dx_channel *hosts[PLACES];
    struct dx_server *servers[PLACES];
    struct place places[PLACES] = {0};
    struct scene *s = calloc(1, sizeof *s);
    uint32_t which;
    const struct dx_config config = {
        .guest_slots = SLOTS, .request_capacity = 64, .response_capacity = 64};
    *state = s;
    (void)snprintf(url, sizeof url, "unix:%s", test_path("server-set"));
    assert_status(dx_create_places(url, &config, PLACES, hosts), DX_OK);
    for (uint32_t i = 0; i < PLACES; i++) {
        assert_status(dx_server_open(hosts[i], answer, &places[i], NULL, &servers[i]), DX_OK);
        assert_status(dx_attach(url, NULL, PATIENCE, &places[i].guest), DX_OK);
        assert_status(dx_queue_open(places[i].guest, SLOTS, &places[i].queue), DX_OK);
    }
    for (uint32_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < PLACES; i++) {
            assert_status(
                dx_queue_submit(places[i].queue, i, DX_TYPE_USER, &i, sizeof i, DX_FOREVER), DX_OK);
            assert_status(dx_queue_flush(places[i].queue), DX_OK);
        }
        for (uint32_t i = 0; i < PLACES; i++) {
            struct dx_completion done;
            uint32_t count = 0;
            while (count == 0) {
                assert_status(dx_queue_poll(places[i].queue, &done, 1, &count), DX_OK);
                dx_status status = dx_servers_wait(servers, PLACES, MS, &which);
                assert_true(status == DX_OK || status == DX_ERR_TIMEOUT);
            }
            assert_status(done.result, DX_OK);
            assert_status(dx_queue_seen(places[i].queue, &done), DX_OK);
        }
        watchdog_step();
    }
    for (uint32_t i = PLACES; i-- > 0;) {
        assert_status(dx_server_close(servers[i]), DX_OK);
        dx_queue_close(places[i].queue);
        assert_status(dx_close(places[i].guest), DX_OK);
        assert_status(dx_close(hosts[i]), DX_OK);
    }
}

#define SET_TEST(f) cmocka_unit_test_teardown(f, clear_scene)

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        SET_TEST(all_are_served),
        SET_TEST(all_are_served_in_turns_of_sleep),
        SET_TEST(a_busy_channel_delays_others_by_a_turn),
        SET_TEST(one_that_ends_is_told_and_the_others_go_on),
        SET_TEST(nothing_new_is_a_timeout),
        SET_TEST(all_places_of_a_host_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
