/* SPDX-License-Identifier: Apache-2.0 */
/* dx forward: sockets carried between two processes, one of which listens for programs, and the
 * other of which connects to one. The test is the program at both ends. */
#include <poll.h>
#include <sched.h>

#include "forward_scene.h"

#define LARGE (1 << 20)
#define TOGETHER 8

static void whoever_creates_the_channel_bytes_go_both_ways(void **state)
{
    const struct transport *transport = *state;
    exchange(forwarding_new(state, "2", true));
    (void)end_forwarding(state);
    *state = (void *)transport;
    const struct forwarding *f = forwarding_new(state, "2", false);
    for (int i = 0; i < 10; i++) /* more than there are slots */
        exchange(f);
}

static void one_direction_ends_and_the_other_goes_on(void **state)
{
    const struct forwarding *f = forwarding_new(state, "2", false);
    for (int i = 0; i < 2; i++) {
        int ends[2] = {connect_in(f), accept_out(f)};
        say(ends[i], "last words");
        (void)shutdown(ends[i], SHUT_WR);
        hear(ends[1 - i], "last words");
        hear_the_end(ends[1 - i]);
        say(ends[1 - i], "answer");
        (void)close(ends[1 - i]);
        hear(ends[i], "answer");
        hear_the_end(ends[i]);
        (void)close(ends[i]);
    }
}

static void *echo(void *user)
{
    int fd = *(int *)user;
    char data[5000];
    ssize_t got;
    while ((got = recv(fd, data, sizeof data, 0)) > 0)
        if (send(fd, data, (size_t)got, MSG_NOSIGNAL | MSG_WAITALL) != got)
            break;
    (void)close(fd);
    return NULL;
}

static unsigned char byte_at(uint32_t seed, uint32_t i)
{
    return (unsigned char)((i * 2654435761u + seed) >> 24);
}

struct sender {
    int fd;
    uint32_t seed;
};

static void *send_much(void *user)
{
    const struct sender *s = user;
    unsigned char data[4096];
    for (uint32_t at = 0; at < LARGE; at += sizeof data) {
        for (uint32_t i = 0; i < sizeof data; i++)
            data[i] = byte_at(s->seed, at + i);
        if (send(s->fd, data, sizeof data, MSG_NOSIGNAL) != sizeof data)
            break;
    }
    (void)shutdown(s->fd, SHUT_WR);
    return NULL;
}

static void *receive_much(void *user)
{
    const struct sender *s = user;
    unsigned char data[4096];
    uint32_t at = 0;
    ssize_t got;
    while ((got = recv(s->fd, data, sizeof data, 0)) > 0)
        for (ssize_t i = 0; i < got; i++, at++)
            if (data[i] != byte_at(s->seed, at))
                return NULL;
    return at == LARGE ? user : NULL;
}

static void many_connections_at_once_carry_much(void **state)
{
    const struct forwarding *f = forwarding_new(state, "8", false);
    pthread_t threads[3 * TOGETHER];
    struct sender senders[TOGETHER];
    int outs[TOGETHER];
    void *right;
    for (uint32_t i = 0; i < TOGETHER; i++) {
        senders[i] = (struct sender){connect_in(f), i};
        outs[i] = accept_out(f);
        assert_int_equal(pthread_create(&threads[3 * i], NULL, echo, &outs[i]), 0);
        assert_int_equal(pthread_create(&threads[3 * i + 1], NULL, send_much, &senders[i]), 0);
        assert_int_equal(pthread_create(&threads[3 * i + 2], NULL, receive_much, &senders[i]), 0);
    }
    for (uint32_t i = 0; i < 3 * TOGETHER; i++) {
        (void)pthread_join(threads[i], &right);
        assert_true(i % 3 != 2 || right != NULL);
    }
    for (uint32_t i = 0; i < TOGETHER; i++)
        (void)close(senders[i].fd);
}

static void connections_beyond_the_slots_wait(void **state)
{
    const struct forwarding *f = forwarding_new(state, "1", false);
    int in = connect_in(f);
    int out = accept_out(f);
    int next = connect_in(f);
    say(next, "patient");
    say(in, "first");
    hear(out, "first");
    close_both(in, out);
    out = accept_out(f);
    hear(out, "patient");
    close_both(next, out);
}

static void who_cannot_be_reached_ends_the_connection_and_not_the_forwarding(void **state)
{
    struct forwarding *f = forwarding_new(state, "2", false);
    (void)close(f->target);
    (void)unlink(f->out);
    int in = connect_in(f);
    hear_the_end(in);
    (void)close(in);
    listen_at_target(f);
    exchange(f);
}

static void each_side_outlives_the_death_of_the_other(void **state)
{
    struct forwarding *f = forwarding_new(state, "2", false);
    for (int i = 0; i < 4; i++) {
        int in = connect_in(f);
        int out = accept_out(f);
        say(in, "alive");
        hear(out, "alive");
        if (i % 2 == 0)
            (void)end_tool(&f->server, SIGKILL);
        else
            (void)end_tool(&f->dialer, SIGKILL);
        hear_the_end(in);
        hear_the_end(out);
        close_both(in, out);
        if (i % 2 == 0)
            start_server(f);
        else
            start_dialer(f);
        exchange(f);
    }
}

/* Sends until nobody takes any more, all the way. */
static void fill(int fd)
{
    static const char bytes[4096];
    for (int full = 0; full < 200;) {
        bool sent = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
        full = sent ? 0 : full + 1;
        (void)sched_yield();
    }
}

static void a_program_that_reads_nothing_is_told_of_the_other_sides_death(void **state)
{
    for (int creates = 0; creates < 2; creates++) {
        const struct transport *transport = *state;
        struct forwarding *f = forwarding_new(state, "2", creates != 0);
        int in = connect_in(f);
        int out = accept_out(f);
        say(in, "alive");
        hear(out, "alive");
        fill(out);
        (void)end_tool(&f->server, SIGKILL);
        struct pollfd told = {.fd = in};
        assert_int_equal(poll(&told, 1, -1), 1);
        assert_int_not_equal(told.revents & POLLHUP, 0);
        close_both(in, out);
        (void)end_forwarding(state);
        *state = (void *)transport;
    }
    (void)forwarding_new(state, "2", false);
}

static void a_signal_ends_it_and_removes_its_names(void **state)
{
    struct forwarding *f = forwarding_new(state, "2", false);
    int in = connect_in(f);
    int out = accept_out(f);
    assert_int_equal(end_tool(&f->dialer, SIGTERM), 0);
    hear_the_end(in);
    hear_the_end(out);
    assert_int_not_equal(access(f->in, F_OK), 0);
    assert_int_equal(end_tool(&f->server, SIGINT), 0);
    assert_says(run("-h", NULL, NULL, NULL), "forward");
    close_both(in, out);
}

/* A port that nobody has, for as long as nobody asks for any. */
static uint16_t free_port(int *listener)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;
    const int on = 1;
    *listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(*listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(bind(*listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(*listener, (struct sockaddr *)&a, &bytes), 0);
    return ntohs(a.sin_port);
}

static void a_reset_of_tcp_reaches_the_other_end(void **state)
{
    struct forwarding *f = forwarding_new(state, "2", false);
    char listen_at[64];
    char connect_to[64];
    int listener;
    const struct linger at_once = {.l_onoff = 1};
    (void)end_tool(&f->dialer, SIGTERM);
    (void)end_tool(&f->server, SIGTERM);
    uint16_t port = free_port(&listener);
    (void)close(listener);
    (void)snprintf(listen_at, sizeof listen_at, "tcp:localhost:%u", port);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    port = free_port(&listener);
    assert_int_equal(listen(listener, 4), 0);
    (void)snprintf(connect_to, sizeof connect_to, "tcp:127.0.0.1:%u", port);
    f->dialer = start_tool((const char *[]){f->url, "-listen", listen_at, NULL});
    f->server = start_tool((const char *[]){f->url, "-connect", connect_to, NULL});
    for (int i = 0; i < 2; i++) {
        int ends[2] = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), -1};
        char byte;
        assert_int_equal(connect(ends[0], (struct sockaddr *)&a, sizeof a), 0);
        ends[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        say(ends[0], "hello");
        hear(ends[1], "hello");
        (void)setsockopt(ends[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        (void)close(ends[i]);
        assert_int_equal(recv(ends[1 - i], &byte, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        (void)close(ends[1 - i]);
    }
    (void)close(listener);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    assert_misused(run("forward", "shm:x", NULL, NULL), "-listen and -connect");
    assert_misused(run("forward", "-listen", "tcp:127.0.0.1:1", NULL), "one URL");
    assert_misused(run("forward", "-listen", "tcp:10.0.0.1:1", "shm:x"), "-any-address");
    assert_misused(run("forward", "-connect", "tcp:[fe80::1]:1", "shm:x"), "-any-address");
    assert_misused(run("forward", "-connect", "tcp:somewhere:1", "shm:x"), "in numbers");
    assert_misused(run("forward", "-connect", "tcp:127.0.0.1:65536", "shm:x"), "in numbers");
    assert_misused(run("forward", "-connect", "unix:", "shm:x"), "107");
    assert_misused(run("forward", "-conns", "0", "shm:x"), "1 to 4096");
    assert_misused(run("forward", "-connect", "unix:/x", "nonsense:"), "nonsense");
    assert_says(run("forward", "-h", NULL, NULL), "-any-address");
}

int main(void)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST(whoever_creates_the_channel_bytes_go_both_ways),
        TRANSPORT_TEST(one_direction_ends_and_the_other_goes_on),
        TRANSPORT_TEST(many_connections_at_once_carry_much),
        TRANSPORT_TEST(connections_beyond_the_slots_wait),
        TRANSPORT_TEST(who_cannot_be_reached_ends_the_connection_and_not_the_forwarding),
        TRANSPORT_TEST(each_side_outlives_the_death_of_the_other),
        TRANSPORT_TEST(a_program_that_reads_nothing_is_told_of_the_other_sides_death),
        TRANSPORT_TEST(a_signal_ends_it_and_removes_its_names),
        TRANSPORT_TEST(a_reset_of_tcp_reaches_the_other_end),
    };
    const struct CMUnitTest words[] = {cmocka_unit_test(wrong_words_are_refused)};
    test_begin();
    int failed = cmocka_run_group_tests(words, NULL, NULL);
    return failed + run_transport_tests(tests, sizeof tests / sizeof *tests, set_none,
                                        end_forwarding, nothing_is_left);
}
