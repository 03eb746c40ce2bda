/* SPDX-License-Identifier: Apache-2.0 */
/* The server of a rendezvous: what it says to whom, and whom it does without. */
#include <sys/stat.h>

#include "doorbell.h"
#include "files.h"
#include "peers.h"

static struct place *published(void **state, const char *tag, uint32_t vectors)
{
    struct place *p = place_open(state, tag, vectors);
    assert_status(dx_rendezvous_publish(p->server), DX_OK);
    return p;
}

/* Version, id, memory, and the server's own vectors. */
static void hear_greeting(struct visitor *v, uint32_t vectors)
{
    visitor_expect(v, DX_IVSHMEM_VERSION, false);
    v->id = visitor_hear(v).value;
    assert_true(v->id > 0 && v->id < (int64_t)DX_IVSHMEM_IDS);
    struct dx_ivshmem_message memory = visitor_hear(v);
    struct stat s;
    assert_int_equal(memory.value, DX_IVSHMEM_MEMORY);
    assert_int_equal(fstat(memory.fd, &s), 0);
    assert_int_equal(s.st_size, 8192);
    (void)close(memory.fd);
    for (uint32_t i = 0; i < vectors; i++)
        visitor_expect(v, 0, true);
}

static void a_client_is_greeted_in_the_order_of_the_protocol(void **state)
{
    struct place *p = published(state, "order", 3);
    struct visitor first = visitor_enter(p);
    hear_greeting(&first, 3);
    for (int i = 0; i < 3; i++)
        visitor_expect(&first, first.id, true);
    struct visitor second = visitor_enter(p);
    hear_greeting(&second, 3);
    for (int i = 0; i < 3; i++)
        visitor_expect(&second, first.id, true);
    for (int i = 0; i < 3; i++)
        visitor_expect(&second, second.id, true);
    for (int i = 0; i < 3; i++)
        visitor_expect(&first, second.id, true);
    assert_int_equal(p->joined, 2);
    visitor_leave(&first);
    place_settle(p);
    visitor_expect(&second, first.id, false);
    assert_int_equal(p->left, 1);
    visitor_leave(&second);
}

static void what_a_client_is_given_rings_the_other(void **state)
{
    struct place *p = published(state, "rings", 1);
    struct visitor first = visitor_enter(p);
    hear_greeting(&first, 1);
    first.bell = visitor_hear(&first).fd;
    struct visitor second = visitor_enter(p);
    hear_greeting(&second, 1);
    struct dx_ivshmem_message news = visitor_hear(&first);
    struct dx_ivshmem_message other = visitor_hear(&second);
    second.bell = visitor_hear(&second).fd;
    assert_int_equal(other.value, first.id);
    dx_doorbell_write(other.fd);
    assert_true(can_read(first.bell, 0));
    assert_false(can_read(second.bell, 0));
    dx_doorbell_write(news.fd);
    assert_true(can_read(second.bell, 0));
    (void)close(other.fd);
    (void)close(news.fd);
    visitor_leave(&first);
    visitor_leave(&second);
}

static void a_client_that_talks_is_dropped(void **state)
{
    struct place *p = published(state, "talks", 1);
    struct visitor early = visitor_enter(p);
    struct visitor v = visitor_enter(p);
    assert_int_equal(visitor_be_greeted(&v), 0);
    assert_int_equal(write(early.socket, "hello", 5), 5);
    assert_int_equal(write(v.socket, "hello", 5), 5);
    place_settle(p);
    assert_int_equal(p->left, 1);
    assert_true(visitor_is_out(&v));
    assert_true(visitor_is_out(&early));
    visitor_leave(&v);
    visitor_leave(&early);
}

static void clients_beyond_the_room_are_turned_away(void **state)
{
    struct place *p = published(state, "crowd", 4);
    struct visitor all[DX_RENDEZVOUS_MEMBERS_MAX];
    for (uint32_t i = 0; i < DX_RENDEZVOUS_MEMBERS_MAX; i++) {
        all[i] = visitor_enter(p);
        /* Each is told of everybody who is there: its own vectors come last. */
        assert_int_equal(visitor_be_greeted(&all[i]), 4 * i);
    }
    struct visitor more = visitor_enter(p);
    assert_true(visitor_is_out(&more));
    assert_int_equal(p->joined, DX_RENDEZVOUS_MEMBERS_MAX);
    assert_int_equal(p->left, 0);
    for (uint32_t i = 0; i < DX_RENDEZVOUS_MEMBERS_MAX; i++)
        visitor_leave(&all[i]);
    visitor_leave(&more);
}

static void a_name_appears_complete_and_goes_with_its_server(void **state)
{
    struct place *p = place_open(state, "name", 1);
    struct stat s;
    assert_false(exists(p->path));
    assert_status(dx_rendezvous_publish(p->server), DX_OK);
    assert_int_equal(lstat(p->path, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0600);
    dx_rendezvous_close(p->server);
    p->server = NULL;
    assert_false(exists(p->path));
}

static void a_living_servers_name_is_its_own(void **state)
{
    struct place *p = published(state, "living", 1);
    const struct dx_rendezvous_config config = {.memory = p->memory, .vectors = 1, .self = -1};
    struct dx_rendezvous *second;
    assert_status(dx_rendezvous_open(p->path, &config, &second), DX_OK);
    assert_status(dx_rendezvous_publish(second), DX_ERR_HOST_EXISTS);
    assert_detail(p->path);
    dx_rendezvous_close(second);
    struct visitor v = visitor_enter(p);
    hear_greeting(&v, 1);
    visitor_leave(&v);
}

/* A socket file at which nobody listens any more. */
static void leave_dead_socket(const char *path)
{
    char temporary[DX_IVSHMEM_IDS / 16];
    int fd;
    assert_status(dx_socket_listen(path, temporary, &fd), DX_OK);
    assert_status(dx_socket_claim(path, temporary), DX_OK);
    (void)close(fd);
}

static void a_dead_servers_name_is_taken_over(void **state)
{
    struct place *p = place_open(state, "dead", 1);
    leave_dead_socket(p->path);
    int fd;
    assert_status(dx_socket_connect(p->path, &fd), DX_ERR_NO_PEER);
    assert_status(dx_rendezvous_publish(p->server), DX_OK);
    struct visitor v = visitor_enter(p);
    hear_greeting(&v, 1);
    visitor_leave(&v);
}

static void what_is_no_socket_of_ours_is_left_alone(void **state)
{
    struct place *p = place_open(state, "alone", 1);
    const char *target = test_path("target");
    make_file(target, 100, 'x');
    struct snapshot before = take_snapshot(target);
    assert_int_equal(symlink(target, p->path), 0);
    assert_status(dx_rendezvous_publish(p->server), DX_ERR_PERMISSION);
    assert_detail("symbolic link");
    assert_int_equal(unlink(p->path), 0);
    assert_int_equal(link(target, p->path), 0);
    assert_status(dx_rendezvous_publish(p->server), DX_ERR_PERMISSION);
    assert_detail("no socket");
    assert_int_equal(unlink(p->path), 0);
    assert_untouched(target, &before);
    leave_dead_socket(p->path);
    assert_int_equal(chmod(p->path, 0660), 0);
    assert_status(dx_rendezvous_publish(p->server), DX_ERR_PERMISSION);
    assert_detail("0660");
    assert_true(exists(p->path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_client_is_greeted_in_the_order_of_the_protocol, place_free),
        cmocka_unit_test_teardown(what_a_client_is_given_rings_the_other, place_free),
        cmocka_unit_test_teardown(a_client_that_talks_is_dropped, place_free),
        cmocka_unit_test_teardown(clients_beyond_the_room_are_turned_away, place_free),
        cmocka_unit_test_teardown(a_name_appears_complete_and_goes_with_its_server, place_free),
        cmocka_unit_test_teardown(a_living_servers_name_is_its_own, place_free),
        cmocka_unit_test_teardown(a_dead_servers_name_is_taken_over, place_free),
        cmocka_unit_test_teardown(what_is_no_socket_of_ours_is_left_alone, place_free),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
