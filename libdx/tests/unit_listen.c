/* SPDX-License-Identifier: Apache-2.0 */
/* Places whose guests seem to be in a VM: they are listened for all at once, not in turn. */
#include <stdatomic.h>

#include "channel.h"
#include "files.h"
#include "pair.h"

#define PLACES DX_GUESTS_MAX
#define PEER_TIMEOUT_NS 300000000

/* A second of listening has some 35 looks; in all places one after the other it would be 300. */
#define LOOKS_MAX 120

struct host {
    struct dx_channel *channels[PLACES];
    char url[TEST_URL_BYTES];
    struct dx_wait wait;
    _Atomic bool ended;
};

/* Guests under another kernel seem to be in all its places. */
static dx_status fill_places(struct host *h)
{
    const struct dx_config config = {.slots = 1, .request_capacity = 64, .response_capacity = 64};
    dx_status status = dx_create_places(h->url, &config, PLACES, h->channels);
    for (uint32_t i = 0; status == DX_OK && i < PLACES; i++) {
        struct dx_peer_lines *guest = &h->channels[i]->peers[DX_GUEST];
        dx_store_relaxed(&guest->kernel, 12345u);
        dx_store_relaxed(&guest->session, 77u);
        dx_store_release(&guest->state, (uint32_t)DX_PEER_STATE_OPEN);
    }
    return status;
}

static void name_host(struct host *h, const char *tag)
{
    memset(h, 0, sizeof *h);
    assert_status(dx_wait_preset("balanced", &h->wait), DX_OK);
    h->wait.peer_timeout_ns = PEER_TIMEOUT_NS;
    (void)test_file_url(test_path(tag), h->url);
}

static void set_host(struct host *h, const char *tag)
{
    name_host(h, tag);
    assert_status(fill_places(h), DX_OK);
}

static void clear_host(struct host *h)
{
    for (uint32_t i = PLACES; i-- > 0;)
        assert_status(dx_close(h->channels[i]), DX_OK);
}

static void places_of_dead_guests_are_listened_for_at_once(void **state)
{
    (void)state;
    struct host h;
    struct dx_channel *guest;
    set_host(&h, "dead");
    long before = test_sleeps();
    assert_status(dx_attach(h.url, &h.wait, 0, &guest), DX_OK);
    assert_in_range(test_sleeps() - before, 1, LOOKS_MAX);
    assert_int_equal(guest->region.place, 0);
    assert_status(dx_close(guest), DX_OK);
    clear_host(&h);
}

/* A heartbeat that changes is enough to be taken for alive. */
static void *beat(void *user)
{
    struct host *h = user;
    while (!atomic_load(&h->ended)) {
        for (uint32_t i = 0; i < PLACES; i++)
            dx_count(&h->channels[i]->peers[DX_GUEST].heartbeat, 1u);
        (void)sched_yield();
    }
    return NULL;
}

static void all_places_taken_is_said_after_one_look_at_all(void **state)
{
    (void)state;
    struct host h;
    struct dx_channel *guest;
    pthread_t beats;
    set_host(&h, "full");
    assert_int_equal(pthread_create(&beats, NULL, beat, &h), 0);
    long before = test_sleeps();
    dx_status status = dx_attach(h.url, &h.wait, 0, &guest);
    long looks = test_sleeps() - before;
    atomic_store(&h.ended, true);
    (void)pthread_join(beats, NULL);
    assert_status(status, DX_ERR_GUEST_EXISTS);
    assert_detail("30 of its 30 places");
    assert_true(looks <= LOOKS_MAX); /* none, if all have beaten before the first look */
    clear_host(&h);
}

static int fill_places_and_die(void *user)
{
    return fill_places(user) == DX_OK ? 0 : 1;
}

/* In the memory of a dead host, with the sizes that it had and with others. */
static void a_new_host_listens_in_all_places_at_once(void **state)
{
    (void)state;
    struct host h;
    for (uint32_t i = 0; i < 2; i++) {
        struct dx_config config = {.slots = 1 + i, .request_capacity = 64, .response_capacity = 64};
        name_host(&h, i == 0 ? "same" : "other");
        config.wait = &h.wait;
        assert_exited(test_in_child(fill_places_and_die, &h));
        long before = test_sleeps();
        assert_status(dx_create_places(h.url, &config, PLACES, h.channels), DX_OK);
        assert_in_range(test_sleeps() - before, 1, LOOKS_MAX);
        clear_host(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_of_dead_guests_are_listened_for_at_once),
        cmocka_unit_test(all_places_taken_is_said_after_one_look_at_all),
        cmocka_unit_test(a_new_host_listens_in_all_places_at_once),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
