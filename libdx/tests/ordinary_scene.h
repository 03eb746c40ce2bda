/* SPDX-License-Identifier: Apache-2.0 */
/* A host with two places at a socket, and whoever comes there, all of an ordinary user. */
#ifndef DX_TEST_ORDINARY_SCENE_H
#define DX_TEST_ORDINARY_SCENE_H

#include "channel.h"
#include "child.h"
#include "news.h"
#include "ordinary.h"
#include "peers.h"
#include "rendezvous_link_private.h"

#define DESCRIPTORS 1024

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

static inline int set_scene(void **state)
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

static inline void allow(rlim_t descriptors)
{
    const struct rlimit limit = {descriptors, DESCRIPTORS};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static inline int clear_scene(void **state)
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

static inline void begin_host(struct scene *s, const struct dx_wait *wait)
{
    struct dx_config config = child_config();
    config.wait = wait;
    assert_status(dx_create_places(s->url, &config, 2, s->hosts), DX_OK);
    for (int i = 0; i < 2; i++)
        assert_status(dx_caller_open(s->hosts[i], 0, &s->callers[i]), DX_OK);
}

static inline void call_well(struct scene *s, int place, unsigned calls)
{
    uint64_t number;
    for (unsigned i = 0; i < calls; i++) {
        assert_status(child_call(s->callers[place], s->tally, TYPE_ECHO, PATIENCE, &number), DX_OK);
        assert_int_equal(atomic_load(&s->tally->runs[number]), 1);
    }
}

static inline void start_guest(struct scene *s, int index)
{
    s->children[index] = child_start("guest", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->children[index]), 'a');
}

/* Connects, and waits until something was sent, or until it is turned away. */
static inline struct visitor come(const struct scene *s)
{
    struct visitor v = {.reader = DX_IVSHMEM_READER_INIT, .bell = -1, .id = -1};
    assert_status(dx_socket_connect(s->path, &v.socket), DX_OK);
    assert_true(can_read(v.socket, -1));
    return v;
}

#define scened(test) cmocka_unit_test_setup_teardown(test, set_scene, clear_scene)

#endif
