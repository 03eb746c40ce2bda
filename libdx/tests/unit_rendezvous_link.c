/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that meets servers which are broken, silent, or not ours. */
#include <pthread.h>

#include "atomic.h"
#include "doorbell.h"
#include "files.h"
#include "peers.h"
#include "rendezvous_link_private.h"

#define LINES 8

/* What a server says to its only client before it waits for the test's end. */
struct script {
    const char *path;
    int listener;
    int memory;
    int bell; /* everybody's */
    struct {
        int64_t value;
        int fd;
    } lines[LINES];
    unsigned count;
    bool hang_up;
    bool flood;         /* says the id of nobody, without end */
    int64_t timeout_ns; /* of the client's dx_attach */
    unsigned piece;     /* bytes written at once; 0: whole messages */
    sem_t done;
    pthread_t thread;
    bool started;
    bool joined;
};

static void say_in_pieces(int socket, int64_t value, unsigned piece)
{
    unsigned char bytes[8];
    memcpy(bytes, &value, sizeof bytes); /* both sides are little-endian */
    for (unsigned at = 0; at < sizeof bytes; at += piece)
        if (write(socket, bytes + at, piece) != (ssize_t)piece)
            return;
}

static void *play(void *user)
{
    struct script *s = user;
    int socket = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    for (unsigned i = 0; socket >= 0 && i < s->count; i++) {
        if (s->piece != 0 && s->lines[i].fd < 0)
            say_in_pieces(socket, s->lines[i].value, s->piece);
        else
            (void)dx_ivshmem_send(socket, s->lines[i].value, s->lines[i].fd);
    }
    static const int64_t nobody[512] = {0};
    while (s->flood && socket >= 0 && send(socket, nobody, sizeof nobody, MSG_NOSIGNAL) > 0)
        ;
    if (!s->hang_up)
        test_wait(&s->done);
    if (socket >= 0)
        (void)close(socket);
    return NULL;
}

static struct script *set_script(void **state, const char *tag)
{
    char temporary[4096];
    struct script *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    s->path = test_path(tag);
    (void)sem_init(&s->done, 0, 0);
    s->memory = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(s->memory, 65536), 0);
    assert_int_equal(fchmod(s->memory, 0600), 0);
    s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(s->bell >= 0);
    assert_status(dx_socket_listen(s->path, temporary, &s->listener), DX_OK);
    assert_int_equal(fcntl(s->listener, F_SETFL, 0), 0);
    assert_status(dx_socket_claim(s->path, temporary), DX_OK);
    return s;
}

static void add_fd(struct script *s, int64_t value, int fd)
{
    s->lines[s->count].value = value;
    s->lines[s->count++].fd = fd;
}

/* With the memory, or without a descriptor. */
static void add_line(struct script *s, int64_t value, bool with_memory)
{
    add_fd(s, value, with_memory ? s->memory : -1);
}

static int end_script(void **state)
{
    struct script *s = *state;
    (void)sem_post(&s->done);
    if (s->started && !s->joined)
        (void)pthread_join(s->thread, NULL);
    (void)close(s->listener);
    (void)close(s->memory);
    (void)close(s->bell);
    (void)sem_destroy(&s->done);
    free(s);
    return 0;
}

static void attach_gives(struct script *s, dx_status expected)
{
    char url[TEST_URL_BYTES];
    struct dx_channel *channel;
    (void)snprintf(url, sizeof url, "unix:%s", s->path);
    int before = count_entries("/proc/self/fd");
    assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
    s->started = true;
    assert_status(dx_attach(url, NULL, s->timeout_ns, &channel), expected);
    assert_null(channel);
    (void)sem_post(&s->done);
    (void)pthread_join(s->thread, NULL);
    assert_int_equal(count_entries("/proc/self/fd"), before);
    s->joined = true;
}

static void another_version_is_refused(void **state)
{
    struct script *s = set_script(state, "version");
    add_line(s, 1, false);
    attach_gives(s, DX_ERR_CORRUPT);
    assert_detail("says 1, expected 0");
}

static void a_silent_server_is_given_a_second(void **state)
{
    struct script *s = set_script(state, "silent");
    int64_t start = dx_clock_ns();
    attach_gives(s, DX_ERR_TIMEOUT);
    assert_elapsed(start, SECOND / 2, SECOND + SLACK);
    assert_detail("says nothing");
}

static void a_server_that_hangs_up_is_no_peer(void **state)
{
    struct script *s = set_script(state, "hangs-up");
    add_line(s, 0, false);
    s->hang_up = true;
    attach_gives(s, DX_ERR_NO_PEER);
}

static void an_absurd_id_is_refused(void **state)
{
    struct script *s = set_script(state, "id");
    add_line(s, 0, false);
    add_line(s, 1ll << 40, false);
    attach_gives(s, DX_ERR_CORRUPT);
    assert_detail("1099511627776");
}

static void descriptors_where_none_belong_are_refused_and_closed(void **state)
{
    struct script *s = set_script(state, "extra");
    add_line(s, 0, true);
    attach_gives(s, DX_ERR_CORRUPT);
}

static void memory_is_to_come_with_its_descriptor(void **state)
{
    struct script *s = set_script(state, "no-memory");
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, false);
    attach_gives(s, DX_ERR_CORRUPT);
}

static void memory_that_could_be_cut_short_is_refused(void **state)
{
    struct script *s = set_script(state, "unsealed");
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, true);
    add_fd(s, 7, s->bell);
    attach_gives(s, DX_ERR_PERMISSION);
    assert_detail("not sealed");
}

static void memory_of_zeros_waits_for_a_host_and_pieces_are_put_together(void **state)
{
    struct script *s = set_script(state, "zeros");
    assert_int_equal(fcntl(s->memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    s->piece = 2;
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, true);
    add_fd(s, 9, s->bell); /* another peer, */
    add_line(s, 9, false); /* which leaves */
    add_fd(s, 7, s->bell);
    attach_gives(s, DX_ERR_NO_PEER);
    assert_detail("no host has begun");
}

static void a_doorbell_that_is_no_eventfd_is_refused(void **state)
{
    struct script *s = set_script(state, "pipe");
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    (void)close(fds[0]); /* to write to it would end us */
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, true);
    add_fd(s, 9, fds[1]);
    add_fd(s, 7, fds[1]);
    attach_gives(s, DX_ERR_CORRUPT);
    assert_detail("no eventfd");
    (void)close(fds[1]);
}

/* The server never lets go; the time is the deadline's, and not the flood's. */
static void a_flood_instead_of_a_greeting_ends_by_the_deadline(void **state)
{
    struct script *s = set_script(state, "flood");
    s->flood = true;
    s->timeout_ns = 3 * SECOND / 2;
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, true);
    int64_t start = dx_clock_ns();
    attach_gives(s, DX_ERR_TIMEOUT);
    assert_elapsed(start, 3 * SECOND / 2, 3 * SECOND / 2 + SLACK);
    assert_detail("in time");
}

static void a_flood_after_the_greeting_ends_by_the_deadline(void **state)
{
    struct script *s = set_script(state, "flood-after");
    assert_int_equal(fcntl(s->memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    s->flood = true;
    s->timeout_ns = SECOND / 2;
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, true);
    add_fd(s, 7, s->bell);
    int64_t start = dx_clock_ns();
    attach_gives(s, DX_ERR_NO_PEER);
    assert_elapsed(start, SECOND / 2, SECOND / 2 + SLACK);
}

static void await_messages(const struct dx_link *link, uint64_t count)
{
    while (dx_load_relaxed(&link->messages) < count)
        (void)sched_yield();
    watchdog_step();
}

/* 4,096 are heard at once, the others at 5,000 a second, in turns of 64: rendezvous_link_run.c. */
#define FLOOD_MESSAGES 5600

/* What costs CPU time is bounded by the rate. */
static void a_flood_is_heard_at_a_bounded_rate(void **state)
{
    struct script *s = set_script(state, "flood-rate");
    struct dx_link *link;
    int memory;
    pthread_t thread;
    s->flood = true;
    add_line(s, 0, false);
    add_line(s, 7, false);
    add_line(s, DX_IVSHMEM_MEMORY, true);
    add_fd(s, 7, s->bell);
    assert_int_equal(pthread_create(&s->thread, NULL, play, s), 0);
    s->started = true;
    assert_status(dx_link_join(s->path, 0, &link, &memory), DX_OK);
    (void)close(memory);
    int64_t start = dx_clock_ns();
    assert_int_equal(pthread_create(&thread, NULL, dx_link_run, link), 0);
    await_messages(link, FLOOD_MESSAGES);
    int64_t took = dx_clock_ns() - start;
    dx_store_relaxed(&link->closing, 1u);
    dx_doorbell_write(link->control);
    (void)pthread_join(thread, NULL);
    dx_link_close(link);
    /* From the beginning: a flood that pauses may catch up later. */
    if (took < (FLOOD_MESSAGES - 4096 - 2 * 64) * 200000ll)
        fail_msg("%d messages were heard within %lld ns", FLOOD_MESSAGES, (long long)took);
}

static void a_path_without_a_socket_has_no_peer(void **state)
{
    (void)state;
    struct dx_channel *channel;
    char url[TEST_URL_BYTES];
    const char *path = test_path("nothing");
    (void)snprintf(url, sizeof url, "unix:%s", path);
    assert_status(dx_attach(url, NULL, 0, &channel), DX_ERR_NO_PEER);
    assert_detail(path);
    make_file(path, 10, 'x');
    struct snapshot before = take_snapshot(path);
    assert_status(dx_attach(url, NULL, 0, &channel), DX_ERR_PERMISSION);
    assert_status(dx_create(url, NULL, &channel), DX_ERR_PERMISSION);
    assert_untouched(path, &before);
    assert_status(dx_attach("unix:", NULL, 0, &channel), DX_ERR_URL);
    assert_status(dx_create("unix:/nowhere/at/all", NULL, &channel), DX_ERR_SYSTEM);
}

static void paths_longer_than_an_address_work(void **state)
{
    (void)state;
    char url[4 * TEST_PATH_BYTES];
    const char *top = test_path("long");
    assert_int_equal(mkdir(top, 0700), 0);
    char folder[TEST_PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%.40s/%080d", top, 0);
    (void)test_path("deep"); /* removed before the one that it is in */
    memcpy(test_paths()->path[test_paths()->count - 1], folder, sizeof folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(url, sizeof url, "unix:%s/socket", folder);
    struct dx_channel *host;
    struct dx_channel *guest;
    assert_true(strlen(url) > 112);
    assert_status(dx_create(url, NULL, &host), DX_OK);
    assert_status(dx_attach(url, NULL, PATIENCE, &guest), DX_OK);
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
    assert_int_equal(count_entries(folder), 0);
}

#define scripted(test) cmocka_unit_test_teardown(test, end_script)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scripted(another_version_is_refused),
        scripted(a_silent_server_is_given_a_second),
        scripted(a_server_that_hangs_up_is_no_peer),
        scripted(an_absurd_id_is_refused),
        scripted(descriptors_where_none_belong_are_refused_and_closed),
        scripted(memory_is_to_come_with_its_descriptor),
        scripted(memory_that_could_be_cut_short_is_refused),
        scripted(memory_of_zeros_waits_for_a_host_and_pieces_are_put_together),
        scripted(a_doorbell_that_is_no_eventfd_is_refused),
        scripted(a_flood_instead_of_a_greeting_ends_by_the_deadline),
        scripted(a_flood_after_the_greeting_ends_by_the_deadline),
        scripted(a_flood_is_heard_at_a_bounded_rate),
        cmocka_unit_test(a_path_without_a_socket_has_no_peer),
        cmocka_unit_test(paths_longer_than_an_address_work),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
