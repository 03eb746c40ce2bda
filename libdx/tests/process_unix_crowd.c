/* SPDX-License-Identifier: Apache-2.0 */
/* Honest peers beside a crowd of clients that are not, as an ordinary user. */
#include "ordinary_scene.h"

#define SILENT 100

/* Hostile clients, and how many of them are there at once. */
#ifdef __SANITIZE_ADDRESS__
#define HOSTILE 800
#else
#define HOSTILE 10000
#endif
#define CROWD 40

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

int main(int argc, char **argv)
{
    child_main(argc, argv);
    become_ordinary(DESCRIPTORS);
    const struct CMUnitTest tests[] = {
        scened(clients_that_do_not_read_harm_neither_a_living_guest_nor_a_newcomer),
        scened(hostile_clients_by_the_thousand_leave_nothing_in_honest_peers),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
