/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of a rendezvous that do not read, or not any more, beside those that do; as an ordinary
 * user, for whom the kernel limits how many descriptors may be on their way. */
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "files.h"
#include "ordinary.h"
#include "peers.h"

#define DESCRIPTORS 256
#define PASSERS_BY 300

/* Twice 8 bytes: the version and the id. */
#define BEFORE_JOINING 16

static struct place *published(void **state, const char *tag)
{
    struct place *p = place_open(state, tag, 1);
    assert_status(dx_rendezvous_publish(p->server), DX_OK);
    return p;
}

static int unread_bytes(const struct visitor *v)
{
    int bytes = -1;
    assert_int_equal(ioctl(v->socket, FIONREAD, &bytes), 0);
    return bytes;
}

static void be_greeted(struct visitor *v, uint32_t others)
{
    assert_int_equal(visitor_be_greeted(v), others);
}

static void a_client_that_reads_nothing_is_sent_no_descriptor_and_is_told_of_to_nobody(void **state)
{
    struct place *p = published(state, "deaf");
    struct visitor deaf = visitor_enter(p);
    for (int i = 0; i < PASSERS_BY; i++) {
        struct visitor passing = visitor_enter(p);
        be_greeted(&passing, 0);
        visitor_leave(&passing);
        place_settle(p);
    }
    assert_int_equal(p->joined, PASSERS_BY);
    assert_int_equal(p->left, PASSERS_BY);
    assert_int_equal(unread_bytes(&deaf), BEFORE_JOINING);
    /* It harms only itself: it is as welcome as before when it reads. */
    be_greeted(&deaf, 0);
    assert_int_equal(p->joined, PASSERS_BY + 1);
    visitor_leave(&deaf);
}

/* What one member has been told of others: 1 came, 2 came and left. */
struct told {
    uint8_t of[DX_IVSHMEM_IDS];
};

/* Reads all that there is, now and when the server has been stepped. */
static void read_all(struct visitor *v, struct told *told)
{
    struct dx_ivshmem_message m;
    do {
        place_settle(v->place);
        while (dx_ivshmem_receive(v->socket, &v->reader, &m) == DX_IVSHMEM_MESSAGE) {
            assert_in_range(m.value, 1, DX_IVSHMEM_IDS - 1);
            if (m.fd >= 0) {
                assert_int_equal(told->of[m.value], 0);
                told->of[m.value] = 1;
                (void)close(m.fd);
            } else {
                assert_int_not_equal(told->of[m.value], 2); /* once */
                told->of[m.value] = 2;
            }
        }
        place_settle(v->place);
    } while (can_read(v->socket, 0));
}

static void a_client_that_stops_reading_is_sent_little_and_stays(void **state)
{
    struct place *p = published(state, "stops");
    struct told *told = calloc(1, sizeof *told);
    assert_non_null(told);
    struct visitor v = visitor_enter(p);
    be_greeted(&v, 0);
    struct visitor stays = visitor_enter(p);
    be_greeted(&stays, 1);
    for (int i = 0; i < PASSERS_BY; i++) {
        struct visitor passing = visitor_enter(p);
        be_greeted(&passing, 2);
        visitor_leave(&passing);
        place_settle(p);
        assert_in_range(unread_bytes(&v), 0, 64);
    }
    assert_int_equal(p->left, PASSERS_BY);
    struct visitor last = visitor_enter(p);
    be_greeted(&last, 2);
    read_all(&v, told);
    /* It knows who is there now, and of nobody else that he is there. */
    assert_int_equal(told->of[stays.id], 1);
    assert_int_equal(told->of[last.id], 1);
    uint32_t there = 0;
    for (uint32_t id = 0; id < DX_IVSHMEM_IDS; id++)
        there += told->of[id] == 1;
    assert_int_equal(there, 2);
    free(told);
    visitor_leave(&v);
    visitor_leave(&stays);
    visitor_leave(&last);
}

static void many_that_die_together_are_told_of_once_to_each_that_lives(void **state)
{
    struct place *p = published(state, "together");
    enum { ALL = 50, DYING = 48 };
    struct visitor all[ALL];
    struct told *told = calloc(2, sizeof *told);
    assert_non_null(told);
    for (uint32_t i = 0; i < ALL; i++) {
        all[i] = visitor_enter(p);
        be_greeted(&all[i], i);
        /* The last ones read as they go; the others are silent from now on. */
        for (uint32_t k = 0; k < 2 && i >= DYING; k++)
            if (DYING + k <= i)
                read_all(&all[DYING + k], &told[k]);
    }
    assert_int_equal(p->joined, ALL);
    for (uint32_t i = 0; i < DYING; i++)
        visitor_leave(&all[i]);
    place_settle(p);
    for (uint32_t k = 0; k < 2; k++) {
        read_all(&all[DYING + k], &told[k]);
        for (uint32_t i = 0; i < DYING; i++)
            assert_int_equal(told[k].of[all[i].id], 2);
        assert_int_not_equal(told[k].of[all[DYING + !k].id], 2);
    }
    assert_int_equal(p->left, DYING);
    visitor_leave(&all[DYING]);
    visitor_leave(&all[DYING + 1]);
    free(told);
}

static void newcomers_get_in_however_many_are_silent(void **state)
{
    struct place *p = published(state, "newcomers");
    enum { SILENT = 3 * DX_RENDEZVOUS_MEMBERS_MAX / 2 };
    struct visitor silent[SILENT];
    struct visitor member = visitor_enter(p);
    be_greeted(&member, 0);
    for (int i = 0; i < SILENT; i++)
        silent[i] = visitor_enter(p);
    struct visitor newcomer = visitor_enter(p);
    be_greeted(&newcomer, 1);
    visitor_expect(&member, newcomer.id, true);
    assert_int_equal(p->left, 0);
    /* The silent ones have lost their own connections, the oldest first. */
    assert_true(visitor_is_out(&silent[0]));
    assert_false(visitor_is_out(&silent[SILENT - 1]));
    for (int i = 0; i < SILENT; i++)
        visitor_leave(&silent[i]);
    visitor_leave(&member);
    visitor_leave(&newcomer);
}

/* Puts descriptors on their way, to nobody, until the kernel refuses more of this user's. */
static void fill_the_way(int sockets[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    for (int i = 0; i <= DESCRIPTORS + 1; i++) {
        enum dx_ivshmem_sent sent = dx_ivshmem_send(sockets[0], 0, sockets[0]);
        if (sent == DX_IVSHMEM_LATER)
            return;
        assert_int_equal(sent, DX_IVSHMEM_SENT);
    }
    fail_msg("this user has no limit, and the test shows nothing");
}

static void who_reads_is_not_dropped_when_no_descriptor_may_be_sent(void **state)
{
    struct place *p = published(state, "in-flight");
    int way[2];
    struct visitor member = visitor_enter(p);
    be_greeted(&member, 0);
    fill_the_way(way);
    struct visitor newcomer = visitor_enter(p);
    visitor_expect(&newcomer, DX_IVSHMEM_VERSION, false);
    newcomer.id = visitor_hear(&newcomer).value;
    place_settle(p);
    assert_int_equal(p->joined, 2);
    assert_int_equal(p->left, 0);
    assert_false(visitor_is_out(&member));
    assert_false(visitor_is_out(&newcomer));
    (void)close(way[0]);
    (void)close(way[1]);
    /* Tried again by itself. */
    visitor_expect(&newcomer, DX_IVSHMEM_MEMORY, true);
    visitor_expect(&member, newcomer.id, true);
    assert_int_equal(p->left, 0);
    visitor_leave(&member);
    visitor_leave(&newcomer);
}

static int lowest_free(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

static void a_server_without_descriptors_does_not_spin_and_goes_on_when_there_are_some(void **state)
{
    struct place *p = published(state, "no-descriptors");
    struct visitor member = visitor_enter(p);
    be_greeted(&member, 0);
    struct visitor newcomer = {.place = p, .reader = DX_IVSHMEM_READER_INIT, .bell = -1};
    assert_status(dx_socket_connect(p->path, &newcomer.socket), DX_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    /* After some steps there is nothing to do for a while, though somebody waits to be let in.
     * With this limit poll(2) itself would fail. */
    struct epoll_event event;
    int steps = 0;
    while (epoll_wait(dx_rendezvous_fd(p->server), &event, 1, 0) != 0 && steps++ < 100)
        dx_rendezvous_step(p->server);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_in_range(steps, 1, 99);
    be_greeted(&newcomer, 1);
    visitor_expect(&member, newcomer.id, true);
    visitor_leave(&member);
    visitor_leave(&newcomer);
}

static void silent_ones_lose_their_descriptors_to_a_newcomer(void **state)
{
    struct place *p = published(state, "few-descriptors");
    struct visitor silent[4];
    struct visitor newcomer = {.place = p, .reader = DX_IVSHMEM_READER_INIT, .bell = -1};
    for (int i = 0; i < 4; i++)
        silent[i] = visitor_enter(p);
    assert_status(dx_socket_connect(p->path, &newcomer.socket), DX_OK);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit few = {(rlim_t)lowest_free(), before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    place_settle(p);
    int unread = unread_bytes(&newcomer);
    visitor_expect(&newcomer, DX_IVSHMEM_VERSION, false);
    newcomer.id = visitor_hear(&newcomer).value;
    place_settle(p);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(unread, BEFORE_JOINING);
    assert_int_equal(p->joined, 1);
    visitor_expect(&newcomer, DX_IVSHMEM_MEMORY, true);
    for (int i = 0; i < 4; i++)
        visitor_leave(&silent[i]);
    visitor_leave(&newcomer);
}

#define placed(test) cmocka_unit_test_teardown(test, place_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        placed(a_client_that_reads_nothing_is_sent_no_descriptor_and_is_told_of_to_nobody),
        placed(a_client_that_stops_reading_is_sent_little_and_stays),
        placed(many_that_die_together_are_told_of_once_to_each_that_lives),
        placed(newcomers_get_in_however_many_are_silent),
        placed(who_reads_is_not_dropped_when_no_descriptor_may_be_sent),
        placed(a_server_without_descriptors_does_not_spin_and_goes_on_when_there_are_some),
        placed(silent_ones_lose_their_descriptors_to_a_newcomer),
    };
    become_ordinary(DESCRIPTORS);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
