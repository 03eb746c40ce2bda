/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that meet at a socket as an ordinary user, where descriptors run out, are limited or
 * closed.
 */
#include "fd_wait.h"
#include "ordinary_scene.h"

static int lowest_free(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

/* With the next `more` descriptors free. */
struct poor {
    const char *url;
    int more;
};

static int attach_poorly(void *user)
{
    const struct poor *p = user;
    struct dx_channel *channel;
    rlim_t limit = (rlim_t)lowest_free() + (rlim_t)p->more;
    const struct rlimit few = {limit, limit};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0)
        return 3;
    dx_status status = dx_attach(p->url, NULL, SECOND, &channel);
    if (status == DX_OK)
        return dx_close(channel) == DX_OK ? 0 : 4;
    const char *text = dx_last_error();
    if (status == DX_ERR_SYSTEM &&
        (strstr(text, "descriptor") != NULL || strstr(text, strerror(EMFILE)) != NULL))
        return 1;
    print_error("%d descriptors more: %s: %s\n", p->more, dx_status_string(status), text);
    return 2;
}

static void attach_with_too_few_descriptors_names_them(void **state)
{
    struct scene *s = *state;
    bool attached = false;
    s->children[0] = child_start("host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->children[0]), 'a');
    for (int more = 0; !attached; more++) {
        struct poor poor = {s->url, more};
        int status = test_in_child(attach_poorly, &poor);
        assert_true(WIFEXITED(status));
        assert_in_range(WEXITSTATUS(status), 0, 1);
        attached = WEXITSTATUS(status) == 0;
        assert_in_range(more, 0, 50);
    }
}

static void
a_peer_whose_doorbell_cannot_be_received_yet_has_not_left_and_is_rung_later(void **state)
{
    struct scene *s = *state;
    int memory;
    begin_host(s, NULL);
    assert_status(dx_link_join(s->path, 0, &s->link, &memory), DX_OK);
    (void)close(memory);
    struct visitor peer = come(s);
    (void)visitor_be_greeted(&peer);
    /* It lies in our socket now, or will: the link has no thread. */
    assert_true(can_read(s->link->socket, -1));
    allow((rlim_t)lowest_free());
    for (int i = 0; i < 10; i++)
        assert_true(dx_link_await_news(s->link, MS));
    allow(DESCRIPTORS);
    uint32_t doorbell_id = (uint32_t)peer.id + 1;
    assert_false(dx_link_left(s->link, doorbell_id));
    while (!can_read(peer.bell, 0)) {
        assert_true(dx_link_await_news(s->link, PATIENCE));
        assert_false(dx_link_left(s->link, doorbell_id));
        dx_link_ring(s->link, doorbell_id);
    }
    visitor_leave(&peer);
    while (!dx_link_left(s->link, doorbell_id))
        assert_true(dx_link_await_news(s->link, PATIENCE));
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return dx_clock_from_timespec(t);
}

/* Both sides sleep until they are rung: neither looks by itself. */
static void begin_pair(struct scene *s)
{
    struct dx_wait wait = park_only(DX_PARK_DOORBELL);
    begin_host(s, &wait);
    assert_status(dx_attach(s->url, &wait, PATIENCE, &s->guest), DX_OK);
    s->callers[0]->waiter.liveness_ns = s->guest->liveness_ns = 60 * SECOND;
    serving_start(&s->serving, s->guest, child_handler, &s->service, (struct dx_serve_options){0});
}

static void without_descriptors_doorbells_are_rung_and_waits_sleep(void **state)
{
    struct scene *s = *state;
    uint64_t number;
    begin_pair(s);
    call_well(s, 0, 100);
    allow(0);
    call_well(s, 0, 500);
    assert_int_equal(dx_load_seqcst(&s->hosts[0]->counters[0].rescued), 0);
    /* One thread waits for the answer, one in the handler, and two for news. */
    int64_t before = cpu_ns();
    assert_status(child_call(s->callers[0], s->tally, TYPE_BLOCK, SECOND / 2, &number),
                  DX_ERR_TIMEOUT);
    int64_t used = cpu_ns() - before;
    if (used > SECOND / 4)
        fail_msg("half a second of sleep took %lld ns of CPU", (long long)used);
}

static void descriptors_that_are_closed_make_no_peer_dead_and_hold_no_close_up(void **state)
{
    struct scene *s = *state;
    s->children[0] = child_start("host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->children[0]), 'a');
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
    struct visitor v = come(s);
    (void)visitor_be_greeted(&v);
    struct dx_link *link = s->guest->region.link;
    int64_t id = link->id;
    /* As if the program had closed all that it does not know, and opened others. */
    const int fds[] = {link->socket, link->bell, link->control};
    int other = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        assert_int_equal(dup2(other, fds[i]), fds[i]);
    (void)close(other);
    /* News wake the thread, which lets go of the socket, of which the first visitor hears. */
    struct visitor news = come(s);
    (void)visitor_be_greeted(&news);
    struct dx_ivshmem_message m;
    do {
        m = visitor_hear(&v);
        if (m.fd >= 0)
            (void)close(m.fd);
    } while (m.value != id || m.fd >= 0);
    int64_t before = cpu_ns();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(dx_channel_peer(s->guest), DX_PEER_ALIVE);
        dx_fd_nap(2 * MS);
    }
    assert_in_range(cpu_ns() - before, 0, 100 * MS);
    assert_status(dx_close(s->guest), DX_OK);
    s->guest = NULL;
    visitor_leave(&v);
    visitor_leave(&news);
}

int main(int argc, char **argv)
{
    child_main(argc, argv);
    become_ordinary(DESCRIPTORS);
    const struct CMUnitTest tests[] = {
        scened(attach_with_too_few_descriptors_names_them),
        scened(a_peer_whose_doorbell_cannot_be_received_yet_has_not_left_and_is_rung_later),
        scened(without_descriptors_doorbells_are_rung_and_waits_sleep),
        scened(descriptors_that_are_closed_make_no_peer_dead_and_hold_no_close_up),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
