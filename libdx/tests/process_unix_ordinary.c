/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that meet at a socket as an ordinary user: beside clients that do not read, and where
 * descriptors run out, are limited or closed. */
#include "channel.h"
#include "child.h"
#include "fd_wait.h"
#include "link_private.h"
#include "news.h"
#include "ordinary.h"
#include "peers.h"

#define DESCRIPTORS 1024
#define SILENT 100

/* Hostile clients, and how many of them are there at once. */
#ifdef __SANITIZE_ADDRESS__
#define HOSTILE 800
#else
#define HOSTILE 10000
#endif
#define CROWD 40

struct scene {
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct dx_channel *hosts[2];
    struct dx_caller *callers[2];
    struct dx_channel *guest;
    struct dx_link *link;
    struct serving serving;
    struct service service;
    sem_t entered;
    sem_t release;
    struct child children[2];
};

static int set_scene(void **state)
{
    static int number;
    char tag[32];
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    (void)snprintf(tag, sizeof tag, "ordinary-%d", number++);
    s->path = test_path(tag);
    (void)snprintf(s->url, sizeof s->url, "unix:%s", s->path);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    (void)sem_init(&s->entered, 0, 0);
    (void)sem_init(&s->release, 0, 0);
    s->service =
        (struct service){.tally = s->tally, .entered = &s->entered, .release = &s->release};
    return 0;
}

static void allow(rlim_t descriptors)
{
    const struct rlimit limit = {descriptors, DESCRIPTORS};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    const struct rlimit usual = {DESCRIPTORS, DESCRIPTORS};
    (void)setrlimit(RLIMIT_NOFILE, &usual);
    (void)sem_post(&s->release);
    child_kill(&s->children[0]);
    child_kill(&s->children[1]);
    if (s->guest != NULL)
        dx_stop(s->guest);
    (void)serving_join(&s->serving);
    dx_status status = dx_close(s->guest);
    dx_link_close(s->link);
    for (int i = 1; i >= 0; i--) {
        dx_caller_close(s->callers[i]);
        if (status == DX_OK)
            status = dx_close(s->hosts[i]);
    }
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    (void)sem_destroy(&s->entered);
    (void)sem_destroy(&s->release);
    free(s);
    return status == DX_OK ? 0 : -1;
}

static void begin_host(struct scene *s, const struct dx_wait *wait)
{
    struct dx_config config = child_config();
    config.wait = wait;
    assert_status(dx_create_places(s->url, &config, 2, s->hosts), DX_OK);
    for (int i = 0; i < 2; i++)
        assert_status(dx_caller_open(s->hosts[i], 0, &s->callers[i]), DX_OK);
}

static void call_well(struct scene *s, int place, unsigned calls)
{
    uint64_t number;
    for (unsigned i = 0; i < calls; i++) {
        assert_status(child_call(s->callers[place], s->tally, TYPE_ECHO, PATIENCE, &number), DX_OK);
        assert_int_equal(atomic_load(&s->tally->runs[number]), 1);
    }
}

static void start_guest(struct scene *s, int index)
{
    s->children[index] = child_start("guest", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->children[index]), 'a');
}

/* Connects, and waits until something was sent, or until it is turned away. */
static struct visitor come(const struct scene *s)
{
    struct visitor v = {.reader = DX_IVSHMEM_READER_INIT, .bell = -1, .id = -1};
    assert_status(dx_socket_connect(s->path, &v.socket), DX_OK);
    assert_true(can_read(v.socket, -1));
    return v;
}

static void clients_that_do_not_read_harm_neither_a_living_guest_nor_a_newcomer(void **state)
{
    struct scene *s = *state;
    static struct visitor silent[SILENT];
    begin_host(s, NULL);
    start_guest(s, 0);
    call_well(s, 0, 20);
    for (int i = 0; i < SILENT; i++) {
        silent[i] = come(s);
        if (i % 10 == 0) /* this one stops only now */
            (void)visitor_be_greeted(&silent[i]);
        call_well(s, 0, 10);
    }
    start_guest(s, 1);
    call_well(s, 1, 20);
    call_well(s, 0, 20);
    assert_int_equal(dx_channel_peer(s->hosts[0]), DX_PEER_ALIVE);
    for (int i = 0; i < SILENT; i++)
        visitor_leave(&silent[i]);
    call_well(s, 0, 20);
    call_well(s, 1, 20);
}

static unsigned entries(pid_t pid, const char *what)
{
    char path[64];
    unsigned count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static long resident_pages(pid_t pid)
{
    char path[64];
    long all;
    long resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2); /* NOLINT(cert-err34-c): /proc */
    (void)fclose(file);
    return resident;
}

/* What a peer holds. */
struct holding {
    pid_t pid;
    unsigned descriptors;
    unsigned threads;
    long pages;
};

static struct holding holding_of(pid_t pid)
{
    return (struct holding){pid, entries(pid, "fd"), entries(pid, "task"), resident_pages(pid)};
}

/* Waits until all that it held for clients is given back. */
static void await_rest(const struct holding *h)
{
    while (entries(h->pid, "fd") != h->descriptors)
        (void)sched_yield();
    assert_int_equal(entries(h->pid, "task"), h->threads);
}

static void be_hostile(struct visitor *v, int how)
{
    const uint64_t full = UINT64_MAX - 1;
    switch (how) {
    case 0: /* silent */
        break;
    case 1: /* talks */
        (void)send(v->socket, &full, sizeof full, MSG_NOSIGNAL);
        break;
    case 2: /* rings, and holds up who rings it */
        (void)visitor_be_greeted(v);
        assert_int_equal(write(v->bell, &full, sizeof full), sizeof full);
        assert_int_equal(fcntl(v->bell, F_SETFL, 0), 0);
        break;
    default: /* hears of nobody any more */
        (void)visitor_be_greeted(v);
        break;
    }
}

static void hostile_clients_by_the_thousand_leave_nothing_in_honest_peers(void **state)
{
    struct scene *s = *state;
    static struct visitor crowd[CROWD];
    begin_host(s, NULL);
    start_guest(s, 0);
    call_well(s, 0, 20);
    struct holding peers[] = {holding_of(getpid()), holding_of(s->children[0].pid)};
    for (int round = 0; round < HOSTILE / CROWD; round++) {
        for (int i = 0; i < CROWD; i++) {
            crowd[i] = come(s);
            be_hostile(&crowd[i], i % 4);
        }
        call_well(s, 0, 5);
        for (int i = 0; i < CROWD; i++) /* all at once, for who looks later */
            visitor_leave(&crowd[i]);
        for (int i = 0; i < 2; i++) {
            await_rest(&peers[i]);
            if (round < HOSTILE / CROWD / 10)
                peers[i].pages = resident_pages(peers[i].pid);
        }
        watchdog_step();
    }
#ifndef __SANITIZE_ADDRESS__ /* whose memory grows by itself */
    for (int i = 0; i < 2; i++)
        assert_in_range(resident_pages(peers[i].pid), 0, peers[i].pages + 64);
#endif
    assert_int_equal(dx_channel_peer(s->hosts[0]), DX_PEER_ALIVE);
}

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

#define scened(test) cmocka_unit_test_setup_teardown(test, set_scene, clear_scene)

int main(int argc, char **argv)
{
    child_main(argc, argv);
    become_ordinary(DESCRIPTORS);
    const struct CMUnitTest tests[] = {
        scened(clients_that_do_not_read_harm_neither_a_living_guest_nor_a_newcomer),
        scened(hostile_clients_by_the_thousand_leave_nothing_in_honest_peers),
        scened(attach_with_too_few_descriptors_names_them),
        scened(a_peer_whose_doorbell_cannot_be_received_yet_has_not_left_and_is_rung_later),
        scened(without_descriptors_doorbells_are_rung_and_waits_sleep),
        scened(descriptors_that_are_closed_make_no_peer_dead_and_hold_no_close_up),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
