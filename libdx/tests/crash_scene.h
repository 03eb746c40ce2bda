/* SPDX-License-Identifier: Apache-2.0 */
/* Two peers, each a process. In some tests one side is the victim, to which things happen, and the
 * other the survivor, which lives through the deaths of many victims. */
#ifndef DX_TEST_CRASH_SCENE_H
#define DX_TEST_CRASH_SCENE_H

#include "crash_peer.h"

enum scheme { SCHEME_SHM, SCHEME_FILE, SCHEME_MEMFD, SCHEME_UNIX };

struct scene {
    struct stage *stage;
    int stage_fd;
    const char *path;
    enum scheme scheme;
    char url[2][TEST_URL_BYTES]; /* each side's */
    int region_fd;               /* SCHEME_MEMFD: what guests inherit */
    enum dx_side victim;
    enum dx_side survivor;
    struct child peers[2];
    bool open[2];   /* it has said so */
    unsigned ended; /* victims that ended well */
    const void *user;
};

/* The next report within a time; '\0' if the child has ended, '?' if the time is up. */
static inline char scene_hear(const struct scene *s, enum dx_side side, int64_t timeout_ns)
{
    struct pollfd news = {.fd = s->peers[side].reports, .events = POLLIN};
    if (poll(&news, 1, (int)(timeout_ns / MS)) <= 0)
        return '?';
    return child_hear(&s->peers[side]);
}

static inline void scene_expect(const struct scene *s, enum dx_side side, char expected,
                                int64_t timeout_ns)
{
    char heard = scene_hear(s, side, timeout_ns);
    if (heard != expected)
        fail_msg("%s: the %s reports %d, not '%c'", s->stage->label,
                 side == DX_HOST ? "host" : "guest", heard, expected);
}

static inline void scene_tell(const struct scene *s, enum dx_side side, char command)
{
    child_tell(&s->peers[side], command);
}

static inline void scene_ask(const struct scene *s, enum dx_side side, char command, char expected,
                             int64_t timeout_ns)
{
    scene_tell(s, side, command);
    scene_expect(s, side, expected, timeout_ns);
}

/* A URL for either side; a memfd's guests learn it later. */
static inline void scene_name(struct scene *s, enum dx_side side)
{
    switch (s->scheme) {
    case SCHEME_FILE:
        (void)test_file_url(s->path, s->url[side]);
        break;
    case SCHEME_MEMFD:
        (void)snprintf(s->url[side], TEST_URL_BYTES, "memfd:");
        break;
    case SCHEME_UNIX:
        (void)snprintf(s->url[side], TEST_URL_BYTES, "unix:%s", s->path);
        break;
    default:
        (void)test_shm_url(s->path, s->url[side]);
        break;
    }
}

static inline struct scene *scene_new(enum dx_side victim, enum scheme scheme)
{
    static unsigned count;
    char tag[32];
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->victim = victim;
    s->survivor = dx_other(victim);
    s->scheme = scheme;
    s->region_fd = -1;
    (void)snprintf(tag, sizeof tag, "scene-%u", count++);
    s->path = test_path(tag);
    scene_name(s, DX_HOST);
    scene_name(s, DX_GUEST);
    s->stage_fd = memfd_create("stage", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->stage_fd, sizeof(struct stage)), 0);
    s->stage = stage_map(s->stage_fd);
    assert_non_null(s->stage);
    atomic_store(&s->stage->timeout_ns, PATIENCE);
    return s;
}

static inline void scene_kill(struct scene *s, enum dx_side side)
{
    child_kill(&s->peers[side]);
    s->open[side] = false;
}

/* Closes in good order. */
static inline void scene_close(struct scene *s, enum dx_side side)
{
    scene_tell(s, side, 'q');
    assert_exited(child_end(&s->peers[side]));
    s->open[side] = false;
}

static inline int scene_free(void **state)
{
    struct scene *s = *state;
    scene_kill(s, DX_HOST);
    scene_kill(s, DX_GUEST);
    (void)munmap(s->stage, sizeof *s->stage);
    (void)close(s->stage_fd);
    if (s->region_fd >= 0)
        (void)close(s->region_fd);
    free(s);
    return 0;
}

/* A faulty process carries out the plan of the stage. */
static inline void scene_start(struct scene *s, enum dx_side side, bool faulty)
{
    static const char *const roles[2][2] = {{"host", "faulty host"}, {"guest", "faulty guest"}};
    s->peers[side] = child_start(roles[side][faulty], s->url[side], s->stage_fd);
}

static inline void scene_await_open(struct scene *s, enum dx_side side)
{
    if (!s->open[side])
        scene_expect(s, side, 'a', PATIENCE);
    s->open[side] = true;
}

static inline bool scene_is_open(struct scene *s, enum dx_side side)
{
    if (!s->open[side])
        s->open[side] = scene_hear(s, side, 0) == 'a';
    return s->open[side];
}

/* Without a daemon a rendezvous ends with its host, and so does the memory. */
static inline bool scene_region_dies(const struct scene *s)
{
    return s->scheme == SCHEME_UNIX && s->victim == DX_HOST;
}

/* Guests inherit the memory of a living host. */
static inline void scene_take_region(struct scene *s)
{
    char path[64];
    if (s->region_fd >= 0)
        (void)close(s->region_fd);
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)s->peers[DX_HOST].pid,
                   atomic_load(&s->stage->region));
    s->region_fd = open(path, O_RDWR);
    assert_true(s->region_fd >= 0);
    (void)snprintf(s->url[DX_GUEST], TEST_URL_BYTES, "memfd:%d", s->region_fd);
}

/* A guest waits for its host from now on. */
static inline void scene_start_survivor(struct scene *s)
{
    scene_start(s, s->survivor, false);
    if (s->survivor == DX_HOST)
        scene_await_open(s, DX_HOST);
    if (s->scheme == SCHEME_MEMFD)
        scene_take_region(s);
}

/* Both lives are over; a new survivor begins, on what a dead host left or on nothing. */
static inline void scene_begin_anew(struct scene *s, bool stale)
{
    scene_kill(s, s->victim);
    scene_kill(s, s->survivor);
    if (!stale)
        (void)unlink(s->path);
    scene_start_survivor(s);
}

/* The victim goes on or is replaced, and both sides' calls are answered, on all slots. Then that
 * victim ends, in good order or not. */
static inline void scene_recover(struct scene *s)
{
    if (s->peers[s->victim].pid == 0)
        scene_start(s, s->victim, false);
    scene_await_open(s, s->victim);
    atomic_store(&s->stage->slow_ns[s->survivor], 0);
    if (s->peers[s->survivor].pid == 0)
        scene_start_survivor(s);
    scene_await_open(s, s->survivor);
    scene_ask(s, s->victim, 'p', 'p', PATIENCE);
    scene_ask(s, s->victim, 'v', 'v', PATIENCE);
    scene_ask(s, s->survivor, 'p', 'p', PATIENCE);
    scene_ask(s, s->survivor, 'v', 'v', PATIENCE);
    if (s->victim == DX_GUEST && ++s->ended % 2 == 0)
        scene_close(s, s->victim);
    scene_kill(s, s->victim);
}

static inline void scene_print(const struct scene *s, uint32_t tried)
{
    print_message("%u faults, %llu calls:", tried,
                  (unsigned long long)atomic_load(&s->stage->next));
    for (int i = 0; i < 32; i++) {
        uint32_t count = atomic_load(&s->stage->ended[i]);
        if (count != 0)
            print_message(" %u of status %d", count, -i);
    }
    print_message("; streams:");
    for (int i = 0; i < 32; i++) {
        uint32_t count = atomic_load(&s->stage->streamed[i]);
        if (count != 0)
            print_message(" %u of status %d", count, -i);
    }
    print_message("\n");
}

/* In main: runs a peer and does not return, if this process was started for one. */
static inline void scene_main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a peer may die before it hears us */
    if (argc != 3) {
        (void)signal(SIGTERM, test_end_by_signal);
        return;
    }
    watchdog_show_stacks();
    struct stage *stage = stage_map(CHILD_TALLY);
    if (stage == NULL)
        _exit(102);
    bool faulty = strncmp(argv[1], "faulty", 6) == 0;
#ifdef DX_FAULTS
    if (faulty)
        fault_plan = &stage->plan;
#endif
    exit(peer_run(stage, strstr(argv[1], "host") != NULL ? DX_HOST : DX_GUEST, argv[2], faulty));
}

#endif
