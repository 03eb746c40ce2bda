/* SPDX-License-Identifier: Apache-2.0 */
/* Eventfds that others share with us: what they do to them holds nobody up. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "doorbell.h"
#include "doorbell_guard.h"
#include "doorbell_set.h"
#include "files.h"
#include "peers.h"

#define FULL (UINT64_MAX - 1)
#define PEER 5
#define OTHER 6

static int new_bell(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

/* A peer's own descriptor of the eventfd by which it is rung. */
static int join(struct dx_doorbells *d, uint32_t id)
{
    int fd = new_bell();
    int peers = dup(fd);
    assert_true(peers >= 0);
    assert_true(dx_doorbells_join(d, id, fd));
    return peers;
}

/* Not an assert: it runs in other threads, too. What is full already stays so. */
static void fill(int fd)
{
    uint64_t full = FULL;
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)syscall(SYS_write, fd, &full, sizeof full);
    (void)fcntl(fd, F_SETFL, 0);
}

static _Atomic int attacked = -1;

/* In place of the C library's: an attack that is always just in time, between the look at the flags
 * and the write. */
ssize_t write(int fd, const void *bytes, size_t count)
{
    if (fd >= 0 && fd == atomic_exchange(&attacked, -1))
        fill(fd);
    return syscall(SYS_write, fd, bytes, count);
}

static void who_is_not_there_is_not_rung(void **state)
{
    (void)state;
    struct dx_doorbells d;
    dx_doorbells_init(&d);
    int peer = join(&d, PEER);
    assert_true(dx_doorbells_ring(&d, PEER));
    assert_false(dx_doorbells_ring(&d, OTHER));
    assert_false(dx_doorbells_left(&d, PEER));
    dx_doorbells_leave(&d, PEER);
    assert_true(dx_doorbells_left(&d, PEER));
    assert_false(dx_doorbells_ring(&d, PEER));
    dx_doorbells_leave(&d, -1);
    dx_doorbells_leave(&d, INT64_MAX);
    dx_doorbells_unguard(&d);
    dx_doorbells_close(&d);
    (void)close(peer);
}

/* Each of these would hang without the thread that frees us. */
static void a_bell_that_is_full_and_blocking_holds_nobody_up(void **state)
{
    (void)state;
    struct dx_doorbells d;
    dx_doorbells_init(&d);
    int own = new_bell();
    dx_doorbells_own(&d, OTHER, own);
    assert_status(dx_doorbells_guard(&d), DX_OK);
    int peer = join(&d, PEER);
    for (int i = 0; i < 10; i++) {
        fill(peer);
        assert_true(dx_doorbells_ring(&d, PEER));
        fill(own);
        assert_true(dx_doorbells_ring(&d, OTHER));
    }
    /* The ring itself is there. */
    assert_true(can_read(peer, 0));
    assert_true(can_read(own, 0));
    dx_doorbells_unguard(&d);
    dx_doorbells_close(&d);
    (void)close(peer);
    (void)close(own);
}

static void a_bell_that_is_filled_as_it_is_rung_holds_nobody_up(void **state)
{
    (void)state;
    struct dx_doorbells d;
    dx_doorbells_init(&d);
    assert_status(dx_doorbells_guard(&d), DX_OK);
    int peer = join(&d, PEER);
    for (int i = 0; i < 20; i++) {
        int fd = d.bells[0]->fd;
        dx_doorbell_take(peer);
        atomic_store(&attacked, fd);
        assert_true(dx_doorbells_ring(&d, PEER));
        assert_int_equal(atomic_load(&attacked), -1);
        assert_true(can_read(peer, 0));
    }
    dx_doorbells_unguard(&d);
    dx_doorbells_close(&d);
    (void)close(peer);
}

struct filler {
    pthread_t thread;
    int fd;
    _Atomic bool *ended;
};

static void *fill_again_and_again(void *user)
{
    const struct filler *f = user;
    while (!atomic_load(f->ended))
        fill(f->fd);
    return NULL;
}

/* Two of them hold each other up. */
static void end_filler(const struct filler *f)
{
    while (pthread_tryjoin_np(f->thread, NULL) != 0) {
        dx_doorbell_take(f->fd);
        (void)sched_yield();
    }
}

static void a_bell_that_is_filled_again_and_again_holds_nobody_up(void **state)
{
    (void)state;
    struct dx_doorbells d;
    dx_doorbells_init(&d);
    assert_status(dx_doorbells_guard(&d), DX_OK);
    int peer = join(&d, PEER);
    _Atomic bool ended = false;
    struct filler fillers[2];
    for (int i = 0; i < 2; i++) {
        fillers[i] = (struct filler){.fd = peer, .ended = &ended};
        assert_int_equal(
            pthread_create(&fillers[i].thread, NULL, fill_again_and_again, &fillers[i]), 0);
    }
    for (int i = 0; i < 50; i++)
        assert_true(dx_doorbells_ring(&d, PEER));
    atomic_store(&ended, true);
    for (int i = 0; i < 2; i++)
        end_filler(&fillers[i]);
    dx_doorbells_unguard(&d);
    dx_doorbells_close(&d);
    (void)close(peer);
}

/* A bell that its peer has left open and full is closed by somebody who rings it no more. */
static void a_peer_that_leaves_while_it_is_rung_holds_nobody_up(void **state)
{
    (void)state;
    struct dx_doorbells d;
    dx_doorbells_init(&d);
    assert_status(dx_doorbells_guard(&d), DX_OK);
    for (int i = 0; i < 10; i++) {
        int peer = join(&d, PEER);
        _Atomic bool ended = false;
        struct filler filler = {.fd = peer, .ended = &ended};
        assert_int_equal(pthread_create(&filler.thread, NULL, fill_again_and_again, &filler), 0);
        assert_true(dx_doorbells_ring(&d, PEER));
        dx_doorbells_leave(&d, PEER);
        assert_false(dx_doorbells_ring(&d, PEER));
        atomic_store(&ended, true);
        end_filler(&filler);
        (void)close(peer);
    }
    dx_doorbells_unguard(&d);
    dx_doorbells_close(&d);
}

static void what_is_no_eventfd_is_refused(void **state)
{
    (void)state;
    struct dx_doorbells d;
    int pipes[2];
    int sockets[2];
    dx_doorbells_init(&d);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    const int others[] = {pipes[0],
                          pipes[1],
                          sockets[0],
                          sockets[1],
                          memfd_create("other", MFD_CLOEXEC),
                          epoll_create1(EPOLL_CLOEXEC),
                          timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC),
                          open("/dev/null", O_RDWR | O_CLOEXEC)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_true(others[i] >= 0);
        assert_false(dx_doorbell_is_one(others[i]));
        assert_false(dx_doorbells_join(&d, PEER, others[i])); /* and closes it */
        assert_int_equal(fcntl(others[i], F_GETFD), -1);
    }
    assert_false(dx_doorbells_join(&d, DX_IVSHMEM_IDS, new_bell()));
    dx_doorbells_unguard(&d);
    dx_doorbells_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_not_there_is_not_rung),
        cmocka_unit_test(a_bell_that_is_full_and_blocking_holds_nobody_up),
        cmocka_unit_test(a_bell_that_is_filled_as_it_is_rung_holds_nobody_up),
        cmocka_unit_test(a_bell_that_is_filled_again_and_again_holds_nobody_up),
        cmocka_unit_test(a_peer_that_leaves_while_it_is_rung_holds_nobody_up),
        cmocka_unit_test(what_is_no_eventfd_is_refused),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
