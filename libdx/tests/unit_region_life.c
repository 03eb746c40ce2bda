/* SPDX-License-Identifier: Apache-2.0 */
/* Who may hold a region: one host and one guest that live; what a dead host left is taken over. */
#include "lives.h"

static int expect_host_exists(void *user)
{
    struct dx_channel *channel;
    dx_status status = dx_create(user, &small, &channel);
    return status == DX_ERR_HOST_EXISTS && channel == NULL ? 0 : 2;
}

static int expect_guest_exists(void *user)
{
    struct dx_channel *channel;
    dx_status status = dx_attach(user, NULL, 0, &channel);
    return status == DX_ERR_GUEST_EXISTS && channel == NULL ? 0 : 2;
}

static void a_second_host_leaves_a_living_region_alone(void **state)
{
    (void)state;
    const char *path = test_path("second-host");
    char urls[2][TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    struct dx_channel *second = NULL;
    test_shm_url(path, urls[0]);
    test_file_url(path, urls[1]);
    assert_status(dx_create(urls[0], &small, &host), DX_OK);
    struct snapshot before = take_snapshot(path);
    for (int i = 0; i < 2; i++) {
        assert_status(dx_create(urls[i], &small, &second), DX_ERR_HOST_EXISTS);
        assert_detail(path);
        assert_status(dx_create(urls[i], &large, &second), DX_ERR_HOST_EXISTS);
        assert_null(second);
        assert_exited(test_in_child(expect_host_exists, urls[i]));
    }
    assert_untouched(path, &before);
    assert_status(dx_close(host), DX_OK);
    assert_false(exists(path));
}

static void a_second_guest_leaves_the_first_alone(void **state)
{
    (void)state;
    const char *path = test_path("second-guest");
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    struct dx_channel *guest = NULL;
    struct dx_channel *second = NULL;
    assert_status(dx_create(test_shm_url(path, url), &small, &host), DX_OK);
    assert_status(dx_attach(url, NULL, 0, &guest), DX_OK);
    struct snapshot before = take_snapshot(path);
    assert_status(dx_attach(url, NULL, 0, &second), DX_ERR_GUEST_EXISTS);
    assert_detail(path);
    assert_null(second);
    assert_exited(test_in_child(expect_guest_exists, url));
    assert_untouched(path, &before);
    assert_int_equal(dx_channel_peer(host), DX_PEER_ALIVE);
    /* Its place is free once it has gone. */
    assert_status(dx_close(guest), DX_OK);
    assert_int_equal(dx_channel_peer(host), DX_PEER_CLOSED);
    assert_status(dx_attach(url, NULL, 0, &second), DX_OK);
    assert_status(dx_close(second), DX_OK);
    assert_status(dx_close(host), DX_OK);
}

static void a_guest_without_a_host_waits_just_as_long_as_it_wants(void **state)
{
    (void)state;
    const char *path = test_path("nobody");
    char url[TEST_URL_BYTES];
    struct dx_channel *guest = NULL;
    const int64_t timeouts[] = {0, 30 * MS};
    test_shm_url(path, url);
    for (int i = 0; i < 2; i++) {
        int64_t start = dx_clock_ns();
        assert_status(dx_attach(url, NULL, timeouts[i], &guest), DX_ERR_NO_PEER);
        assert_elapsed(start, timeouts[i], SLACK);
        assert_detail(path);
        assert_null(guest);
    }
    assert_false(exists(path));
}

static void a_dead_hosts_region_is_stale_for_guests_and_readable_for_observers(void **state)
{
    (void)state;
    const char *path = test_path("stale");
    char url[TEST_URL_BYTES];
    struct dx_channel *channel = NULL;
    struct dx_stats stats;
    leave_stale(test_shm_url(path, url), small);
    struct snapshot before = take_snapshot(path);
    assert_status(dx_attach(url, NULL, 0, &channel), DX_ERR_STALE);
    assert_detail(path);
    assert_status(dx_observe(url, &channel), DX_OK);
    assert_int_equal(dx_channel_peer(channel), DX_PEER_DEAD);
    assert_status(dx_stats_read(channel, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_status(dx_close(channel), DX_OK);
    assert_untouched(path, &before);
}

/* A new host, a guest and a verified call. */
static void check_that_it_works(void **state, const char *url, const struct dx_config *config,
                                uint32_t epoch)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    *state = p;
    assert_status(dx_create(url, config, &p->host), DX_OK);
    assert_int_equal(p->host->epoch, epoch);
    assert_status(dx_attach(url, NULL, 0, &p->guest), DX_OK);
    assert_int_equal(dx_channel_request_capacity(p->guest), config->request_capacity);
    assert_int_equal(dx_channel_response_capacity(p->guest), config->response_capacity);
    pair_serve_one(p);
    struct dx_caller *caller = pair_caller(p);
    for (uint64_t i = 0; i < 10; i++)
        assert_status(pair_echo(caller, i, PATIENCE), DX_OK);
    assert_int_equal(pair_free(state), 0);
}

static uint32_t epoch_in(const char *path)
{
    uint32_t epoch = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    off_t at = sizeof(struct dx_header) + offsetof(struct dx_peer_lines, epoch);
    assert_int_equal(pread(fd, &epoch, sizeof epoch, at), sizeof epoch);
    (void)close(fd);
    return epoch;
}

static uint32_t epoch_after(uint32_t epoch)
{
    return epoch == 0xffffff ? 1 : epoch + 1;
}

static void a_new_host_takes_over_with_any_sizes_under_a_new_epoch(void **state)
{
    const struct dx_config configs[][2] = {{small, small}, {small, large}, {large, small}};
    const char *path = test_path("takeover");
    char url[TEST_URL_BYTES];
    test_shm_url(path, url);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        leave_stale(url, configs[i][0]);
        struct snapshot before = take_snapshot(path);
        check_that_it_works(state, url, &configs[i][1], epoch_after(epoch_in(path)));
        free(before.bytes);
        assert_false(exists(path)); /* a name that was taken over is the new host's to remove */
    }
}

static void an_epoch_is_never_zero_and_never_the_one_before(void **state)
{
    (void)state;
    const char *path = test_path("epoch");
    char url[TEST_URL_BYTES];
    const uint32_t last = 0xffffff;
    off_t at = sizeof(struct dx_header) + offsetof(struct dx_peer_lines, epoch);
    leave_stale(test_shm_url(path, url), small);
    patch_file(path, at, &last, sizeof last);
    check_that_it_works(state, url, &small, 1);
}

static void a_region_whose_host_died_while_rebuilding_is_stale(void **state)
{
    const uint64_t mark = DX_MAGIC_REBUILDING;
    const char *path = test_path("rebuilding");
    char url[TEST_URL_BYTES];
    struct dx_channel *guest = NULL;
    leave_stale(test_shm_url(path, url), small);
    patch_file(path, 0, &mark, sizeof mark);
    assert_status(dx_attach(url, NULL, 0, &guest), DX_ERR_STALE);
    assert_detail(path);
    check_that_it_works(state, url, &large, epoch_after(epoch_in(path)));
}

/* A guest that lives on in a dead host's region, in this process. */
struct orphan {
    int tell[2];
    int done[2];
    struct life life;
};

static int host_until_told(void *user)
{
    struct orphan *o = user;
    struct dx_channel *channel;
    char byte = 0;
    if (dx_create(o->life.url, &o->life.config, &channel) != DX_OK)
        return 2;
    (void)close(o->done[1]);
    return write(o->tell[1], &byte, 1) == 1 && read(o->done[0], &byte, 1) == 0 ? 0 : 3;
}

static struct dx_channel *attach_and_lose_the_host(const char *url)
{
    struct orphan o = {.life = {url, small}};
    struct dx_channel *guest = NULL;
    char byte;
    assert_int_equal(pipe2(o.tell, O_CLOEXEC), 0);
    assert_int_equal(pipe2(o.done, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(host_until_told(&o));
    }
    assert_int_equal(read(o.tell[0], &byte, 1), 1);
    assert_status(dx_attach(url, NULL, 0, &guest), DX_OK);
    (void)close(o.done[1]);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_exited(status);
    (void)close(o.done[0]);
    (void)close(o.tell[0]);
    (void)close(o.tell[1]);
    assert_int_equal(dx_channel_peer(guest), DX_PEER_DEAD);
    return guest;
}

static void other_sizes_are_refused_while_a_guest_lives_on(void **state)
{
    (void)state;
    const char *path = test_path("orphan");
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    const struct dx_config fewer = {.slots = 1, .request_capacity = 64, .response_capacity = 64};
    struct dx_channel *guest = attach_and_lose_the_host(test_shm_url(path, url));
    const struct dx_config *const others[] = {&fewer, &large};
    for (int i = 0; i < 2; i++) {
        struct snapshot before = take_snapshot(path);
        dx_status status = dx_create(url, others[i], &host);
        assert_status(status, DX_ERR_GUEST_EXISTS);
        assert_detail(path);
        assert_null(host);
        assert_untouched(path, &before);
    }
    /* With the same ones the guest goes on. */
    assert_status(dx_create(url, &small, &host), DX_OK);
    assert_int_equal(dx_channel_peer(guest), DX_PEER_ALIVE);
    assert_int_equal(dx_channel_peer(host), DX_PEER_ALIVE);
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_host_leaves_a_living_region_alone),
        cmocka_unit_test(a_second_guest_leaves_the_first_alone),
        cmocka_unit_test(a_guest_without_a_host_waits_just_as_long_as_it_wants),
        cmocka_unit_test(a_dead_hosts_region_is_stale_for_guests_and_readable_for_observers),
        PAIR_TEST(a_new_host_takes_over_with_any_sizes_under_a_new_epoch),
        PAIR_TEST(an_epoch_is_never_zero_and_never_the_one_before),
        PAIR_TEST(a_region_whose_host_died_while_rebuilding_is_stale),
        cmocka_unit_test(other_sizes_are_refused_while_a_guest_lives_on),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
