/* SPDX-License-Identifier: Apache-2.0 */
/* Guests that wait for a host, also where a dead one has left its region. */
#include <fcntl.h>

#include "lives.h"

/* A guest that waits for a host. */
struct waiting {
    const char *url;
    pthread_t thread;
    sem_t looked;
    struct dx_channel *channel;
    dx_status status;
};

static void *wait_for_host(void *user)
{
    struct waiting *w = user;
    w->status = dx_attach(w->url, NULL, PATIENCE, &w->channel);
    return NULL;
}

static void a_guest_that_waits_gets_the_host_that_comes(void **state)
{
    (void)state;
    const char *path = test_path("waiting");
    char url[TEST_URL_BYTES];
    test_shm_url(path, url);
    for (int i = 0; i < 100; i++) {
        struct waiting w = {.url = url};
        struct dx_channel *host = NULL;
        assert_int_equal(pthread_create(&w.thread, NULL, wait_for_host, &w), 0);
        dx_status status = dx_create(url, &small, &host);
        (void)pthread_join(w.thread, NULL);
        assert_status(status, DX_OK);
        assert_status(w.status, DX_OK);
        assert_status(dx_close(w.channel), DX_OK);
        assert_status(dx_close(host), DX_OK);
    }
}

/* The guest looks at the stale region again and again, which must not be taken for living there;
 * nor must it take a host that has yet to begin for the one that died. */
static void a_guest_that_waits_does_not_keep_a_new_host_from_other_sizes(void **state)
{
    (void)state;
    const char *path = test_path("wait-stale");
    char url[TEST_URL_BYTES];
    int refused = 0;
    int misled = 0; /* attached to a region whose host is dead */
    dx_status attached = DX_OK;
    test_file_url(path, url);
    for (int i = 0; i < 300; i++) {
        struct waiting w = {.url = url};
        struct dx_channel *host = NULL;
        leave_stale(url, i % 2 != 0 ? small : large);
        assert_int_equal(pthread_create(&w.thread, NULL, wait_for_host, &w), 0);
        if (dx_create(url, i % 2 != 0 ? &large : &small, &host) != DX_OK) {
            refused++;
            (void)unlink(path); /* a region for the guest, which may still wait */
            assert_status(dx_create(url, &small, &host), DX_OK);
        }
        (void)pthread_join(w.thread, NULL);
        if (w.status != DX_OK)
            attached = w.status;
        misled += w.status == DX_OK && dx_channel_peer(w.channel) != DX_PEER_ALIVE;
        assert_status(dx_close(w.channel), DX_OK);
        assert_status(dx_close(host), DX_OK);
        (void)unlink(path);
    }
    assert_int_equal(refused, 0);
    assert_int_equal(misled, 0);
    assert_status(attached, DX_OK);
}

/* A second has room for 1,000 pauses of a millisecond. A machine that is busy makes them fewer. */
static void a_guest_that_waits_long_looks_seldom(void **state)
{
    (void)state;
    char url[TEST_URL_BYTES];
    const char *missing = test_path("nobody");
    const char *blank = test_path("blank");
    const char *stale = test_path("left");
    const char *paths[] = {missing, blank, stale};
    const dx_status expected[] = {DX_ERR_NO_PEER, DX_ERR_NO_PEER, DX_ERR_STALE};
    int fd = open(blank, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    (void)close(fd);
    leave_stale(test_file_url(stale, url), small);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct dx_channel *channel;
        long before = test_sleeps();
        assert_status(dx_attach(test_file_url(paths[i], url), NULL, SECOND, &channel), expected[i]);
        assert_in_range(test_sleeps() - before, 1, 200);
    }
}

/* Attaches again and again, without pauses, until it works. */
static void *attach_impatiently(void *user)
{
    struct waiting *w = user;
    struct dx_wait wait;
    (void)dx_wait_preset("balanced", &wait);
    wait.relax = DX_RELAX_NONE; /* a look takes less time to measure */
    do {
        w->status = dx_attach(w->url, &wait, 0, &w->channel);
        (void)sem_post(&w->looked);
    } while (w->status == DX_ERR_STALE || w->status == DX_ERR_GUEST_EXISTS);
    return NULL;
}

/* A region that is taken over while a guest looks at it changes under its eyes, and has not
 * changed for the guest's eyes alone: it is stale, until it is ready. */
static void a_region_that_is_being_taken_over_is_stale_and_nothing_else(void **state)
{
    (void)state;
    /* One page more: the sooner the host is ready, the later the guest is by comparison. */
    const struct dx_config larger = {.slots = 9, .request_capacity = 64, .response_capacity = 64};
    const char *path = test_path("grows");
    char url[TEST_URL_BYTES];
    dx_status wrong = DX_OK;
    test_file_url(path, url);
    for (int i = 0; i < 400; i++) {
        struct waiting w = {.url = url};
        struct dx_channel *host = NULL;
        leave_stale(url, i % 4 == 0 ? larger : small);
        (void)sem_init(&w.looked, 0, 0);
        assert_int_equal(pthread_create(&w.thread, NULL, attach_impatiently, &w), 0);
        for (int k = 0; k < 1 + i % 5; k++)
            test_wait(&w.looked);
        dx_status created = dx_create(url, i % 4 == 0 ? &small : &larger, &host);
        (void)pthread_join(w.thread, NULL);
        if (w.status != DX_OK)
            wrong = w.status;
        assert_status(created, DX_OK);
        assert_status(dx_close(w.channel), DX_OK);
        assert_status(dx_close(host), DX_OK);
        (void)unlink(path);
    }
    assert_status(wrong, DX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_waits_gets_the_host_that_comes),
        cmocka_unit_test(a_guest_that_waits_long_looks_seldom),
        cmocka_unit_test(a_guest_that_waits_does_not_keep_a_new_host_from_other_sizes),
        cmocka_unit_test(a_region_that_is_being_taken_over_is_stale_and_nothing_else),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
