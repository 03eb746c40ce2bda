/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a region goes away under those who hold it: RemoveIPC, cleaners, rm, mv. */
#include <fcntl.h>
#include <sys/stat.h>

#include "channel.h"
#include "child.h"
#include "life.h"

static void open_host(struct life *l)
{
    const struct dx_config config = life_config();
    assert_status(dx_create(l->url, &config, &l->ours), DX_OK);
    assert_status(dx_caller_open(l->ours, 0, &l->caller), DX_OK);
    assert_string_equal(dx_channel_notice(l->ours), "");
}

/* A call that nobody is there to answer ends with it, and not with its deadline. */
static void assert_told(struct life *l)
{
    assert_status(dx_call(l->caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, DX_FOREVER),
                  DX_ERR_NAME_REMOVED);
    assert_non_null(strstr(dx_channel_notice(l->ours), l->path));
    assert_non_null(strstr(dx_channel_notice(l->ours), "removed"));
}

static void a_host_is_told_that_its_name_was_removed(void **state)
{
    struct life *l = *state;
    open_host(l);
    assert_int_equal(unlink(l->path), 0);
    assert_told(l);
    life_close(l);
}

static void the_first_of_two_hosts_is_told_and_leaves_the_second_s_name(void **state)
{
    struct life *l = *state;
    const struct dx_config config = life_config();
    struct dx_channel *second;
    open_host(l);
    assert_int_equal(unlink(l->path), 0);
    assert_status(dx_create(l->url, &config, &second), DX_OK);
    assert_told(l);
    life_close(l);
    life_assert_named(l, true);
    assert_string_equal(dx_channel_notice(second), "");
    assert_status(dx_close(second), DX_OK);
    life_assert_named(l, false);
}

static void a_host_is_told_that_its_name_was_moved_away(void **state)
{
    struct life *l = *state;
    char elsewhere[TEST_PATH_BYTES + 8];
    (void)snprintf(elsewhere, sizeof elsewhere, "%s-moved", l->path);
    open_host(l);
    assert_int_equal(rename(l->path, elsewhere), 0);
    assert_told(l);
    life_close(l);
    assert_int_equal(unlink(elsewhere), 0);
}

static void await_notice(const struct dx_channel *c)
{
    while (strstr(dx_channel_notice(c), "removed") == NULL)
        (void)sched_yield();
}

static void calls_go_on_between_two_who_have_found_each_other(void **state)
{
    struct life *l = *state;
    life_pair(l, true);
    assert_int_equal(unlink(l->path), 0);
    await_notice(l->ours);
    await_notice(l->theirs);
    life_call(l);
    assert_int_equal(dx_channel_peer(l->ours), DX_PEER_ALIVE);
    life_close(l);
}

static void a_guest_that_serves_through_restarts_ends_where_nobody_can_find_it(void **state)
{
    struct life *l = *state;
    int tally = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(tally, sizeof(struct tally)), 0);
    struct child host = child_start("host", l->url, tally);
    assert_int_equal(child_hear(&host), 'a');
    assert_status(dx_attach(l->url, NULL, PATIENCE, &l->theirs), DX_OK);
    serving_start(&l->serving, l->theirs, child_handler, &l->service,
                  (struct dx_serve_options){.flags = DX_SERVE_THROUGH_RESTART});
    child_kill(&host);
    assert_int_equal(unlink(l->path), 0);
    assert_status(serving_join(&l->serving), DX_ERR_NAME_REMOVED);
    (void)close(tally);
}

static int create_by_relative_path(void *user)
{
    struct life *l = user;
    const struct dx_config config = life_config();
    struct dx_channel *guest;
    char url[TEST_URL_BYTES];
    (void)snprintf(url, sizeof url, "%.5s%s", l->url, strrchr(l->path, '/') + 1);
    if (chdir("/dev/shm") != 0 || dx_create(url, &config, &l->ours) != DX_OK || chdir("/") != 0)
        return 1;
    if (dx_attach(l->url, NULL, PATIENCE, &guest) != DX_OK || dx_close(guest) != DX_OK)
        return 2;
    return dx_close(l->ours) == DX_OK ? 0 : 3;
}

static void a_relative_path_is_meant_from_the_folder_of_its_time(void **state)
{
    struct life *l = *state;
    assert_exited(test_in_child(create_by_relative_path, l));
    life_assert_named(l, false);
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST(a_host_is_told_that_its_name_was_removed),
        TRANSPORT_TEST(the_first_of_two_hosts_is_told_and_leaves_the_second_s_name),
        TRANSPORT_TEST(a_host_is_told_that_its_name_was_moved_away),
        TRANSPORT_TEST(calls_go_on_between_two_who_have_found_each_other),
        TRANSPORT_TEST(a_guest_that_serves_through_restarts_ends_where_nobody_can_find_it),
        TRANSPORT_TEST_OF("file", a_relative_path_is_meant_from_the_folder_of_its_time),
        TRANSPORT_TEST_OF("unix", a_relative_path_is_meant_from_the_folder_of_its_time),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, life_open, life_end,
                               nothing_is_left);
}
