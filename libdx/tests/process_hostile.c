/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile peers: a process that uses a region as it should and, on another thread, scribbles over
 * it. Whoever shares the region with it must neither crash, nor leave the region, nor wait beyond
 * its deadlines, nor grow; what it gets to see is for the peer to say. With a new peer all is
 * right again. DX_TEST_SECONDS makes it longer.
 */
#include "attacked.h"
#include "files.h"
#include "lives.h"

/* The build says which; a tool that only reads the source need not know. */
#ifndef DX_TOOL
#define DX_TOOL "/nonexistent/dx"
#endif

#define GROWTH_BYTES (1ll << 20)
#define AFTERWARDS 100u /* calls a side that must be right with a new peer */
#define DAMAGED 30      /* regions of dead hosts */

/* The program's seconds are shared out among its scenes of scribbling. */
#define SCENES (4 * KINDS + 1)
#define SECONDS_OTHERWISE 4

static int64_t scene_ns(void)
{
    return dice_test_seconds(SECONDS_OTHERWISE) * SECOND / (int64_t)SCENES;
}

static struct scene *set_scene(void **state, enum dx_side side, size_t kind, bool everything)
{
    static uint64_t seeds;
    struct scene *s = calloc(1, sizeof *s);
    char tag[32];
    assert_non_null(s);
    *state = s;
    (void)snprintf(tag, sizeof tag, "hostile%llu", (unsigned long long)++seeds);
    s->side = side;
    s->wait = hostile_wait(kind);
    s->path = test_path(tag);
    (void)(kind % 2 == 0 ? test_shm_url(s->path, s->url) : test_file_url(s->path, s->url));
    s->page_fd = memfd_create("page", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->page_fd, sizeof *s->page), 0);
    s->page = mmap(NULL, sizeof *s->page, PROT_READ | PROT_WRITE, MAP_SHARED, s->page_fd, 0);
    assert_true(s->page != MAP_FAILED);
    s->page->seed = seeds;
    s->page->everything = everything;
    s->page->semaphores = kind == KIND_SEMAPHORE;
    return s;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s == NULL)
        return 0;
    child_kill(&s->peer);
    if (s->channel != NULL)
        end_traffic(s);
    (void)munmap(s->page, sizeof *s->page);
    (void)close(s->page_fd);
    (void)unlink(s->path);
    test_paths()->count--; /* a long run has more of them than there is room for */
    free(s);
    *state = NULL;
    return 0;
}

/* The attacker, and this process on the other side. */
static void enter(struct scene *s)
{
    struct dx_config config = hostile_config(&s->wait);
    if (s->side == DX_HOST)
        assert_status(dx_create(s->url, &config, &s->channel), DX_OK);
    s->peer = child_start(s->side == DX_HOST ? ATTACKER_GUEST : ATTACKER_HOST, s->url, s->page_fd);
    assert_int_equal(child_hear(&s->peer), 'a');
    if (s->side != DX_HOST)
        assert_status(dx_attach(s->url, &s->wait, PATIENCE, &s->channel), DX_OK);
    guard_begin(&s->guard, s->channel);
}

static bool had_all_traffic(const struct scene *s)
{
    return s->right > 0 && s->served > 0 && s->streamed > 0 && s->echoed > 0 && s->queued > 0;
}

static void check_ends(const struct scene *s)
{
    if (s->impossible != 0)
        print_error("what cannot be was last %d\n", atomic_load(&s->latest_impossible));
    assert_int_equal(s->impossible, 0);
    assert_int_equal(s->late, 0);
}

static void check_scene(const struct scene *s)
{
    check_ends(s);
    /* Otherwise this was no test: there was damage, and traffic that it could hurt. */
    assert_true(s->page->writes > 1000 && s->page->mended > 0);
    assert_true(had_all_traffic(s));
    assert_int_equal(waitpid(s->peer.pid, NULL, WNOHANG), 0);
}

/* Calls of one side that all must be right. */
static void call_well(struct dx_channel *channel)
{
    struct dx_caller *caller;
    assert_status(dx_caller_open(channel, 0, &caller), DX_OK);
    for (uint64_t number = 0; number < AFTERWARDS; number++) {
        bool right;
        assert_status(traffic_call(caller, number, PATIENCE, &right), DX_OK);
        assert_true(right);
    }
    dx_caller_close(caller);
}

/* dx reset -force, as a person would. */
static int reset(void *user)
{
    char *const arguments[] = {(char *)"dx", (char *)"reset", (char *)"-force", user, NULL};
    int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (silent < 0 || dup2(silent, STDOUT_FILENO) < 0)
        return 103;
    (void)execv(DX_TOOL, arguments);
    return 104;
}

/* A new host and a new guest on the same name. */
static void all_is_right_with_new_peers(char *url, bool may_be_destroyed)
{
    static struct serving servings[2];
    struct dx_channel *channels[2];
    struct dx_config config = hostile_config(NULL);
    dx_status status = dx_create(url, &config, &channels[DX_HOST]);
    if (status == DX_ERR_NOT_DX && may_be_destroyed) {
        /* What has no magic may be anybody's file, which only a person may clear. */
        assert_exited(test_in_child(reset, url));
        status = dx_create(url, &config, &channels[DX_HOST]);
    }
    assert_status(status, DX_OK);
    assert_status(dx_attach(url, NULL, PATIENCE, &channels[DX_GUEST]), DX_OK);
    for (int side = DX_HOST; side <= DX_GUEST; side++)
        serving_start(&servings[side], channels[side], traffic_handle, NULL,
                      (struct dx_serve_options){0});
    call_well(channels[DX_HOST]);
    call_well(channels[DX_GUEST]);
    for (int side = DX_HOST; side <= DX_GUEST; side++) {
        dx_stop(channels[side]);
        assert_status(serving_join(&servings[side]), DX_ERR_STOPPED);
    }
    assert_status(dx_close(channels[DX_GUEST]), DX_OK);
    assert_status(dx_close(channels[DX_HOST]), DX_OK);
}

/* What this process has. AddressSanitizer keeps back what is freed and remembers every thread, so
 * that there only what is in use counts. */
static int64_t memory_bytes(void)
{
#ifdef GUARD_ASAN
    return (int64_t)__sanitizer_get_current_allocated_bytes();
#else
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    char *resident;
    (void)strtoll(text, &resident, 10);
    return strtoll(resident, NULL, 10) * sysconf(_SC_PAGESIZE);
#endif
}

/* One scene has warmed up everything that is kept. */
static void check_growth(void)
{
    static int64_t first;
    int64_t now = memory_bytes();
    if (first == 0)
        first = now;
    assert_in_range(now, 0, first + GROWTH_BYTES);
}

static void suffer(void **state, enum dx_side side, size_t kind, bool everything)
{
    struct scene *s = set_scene(state, side, kind, everything);
    enter(s);
    int64_t until_ns = dx_clock_ns() + scene_ns();
    start_traffic(s, until_ns);
    child_tell(&s->peer, 's');
    (void)call_on(s);
    /* It has no chance on a machine that is busy elsewhere? Then it takes longer. */
    while (!had_all_traffic(s) && dx_clock_ns() < until_ns + PATIENCE) {
        atomic_store(&s->until_ns, dx_clock_ns() + 50 * MS);
        (void)call_on(s);
    }
    check_scene(s);
    /* Half of them see the peer die, half of them close while it goes on. */
    if (kind % 2 == 0) {
        child_kill(&s->peer);
        atomic_store(&s->until_ns, dx_clock_ns() + 30 * MS);
        (void)call_on(s);
    }
    end_traffic(s);
    check_ends(s);
    check_growth();
    child_kill(&s->peer);
    print_message("%s, %s: streams right %llu, sent back %llu; right %llu and of a queue %llu, "
                  "wrong %llu, failed %llu, served %llu, scribbles %llu\n",
                  side == DX_HOST ? "host" : "guest", kinds[kind], (unsigned long long)s->streamed,
                  (unsigned long long)s->echoed, (unsigned long long)s->right,
                  (unsigned long long)s->queued, (unsigned long long)s->wrong,
                  (unsigned long long)s->failed, (unsigned long long)s->served,
                  (unsigned long long)s->page->writes);
    all_is_right_with_new_peers(s->url, everything || side == DX_GUEST);
    (void)clear_scene(state);
}

static void suffer_each_kind(void **state, enum dx_side side, bool everything)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        int open = count_entries("/proc/self/fd");
        suffer(state, side, kind, everything);
        assert_int_equal(count_entries("/proc/self/fd"), open);
    }
}

static void a_host_bears_a_guest_that_writes_what_it_may(void **state)
{
    suffer_each_kind(state, DX_HOST, false);
}

static void a_host_bears_a_guest_that_writes_everywhere(void **state)
{
    suffer_each_kind(state, DX_HOST, true);
}

static void a_guest_bears_a_host_that_writes_what_it_may(void **state)
{
    suffer_each_kind(state, DX_GUEST, false);
}

static void a_guest_bears_a_host_that_writes_everywhere(void **state)
{
    suffer_each_kind(state, DX_GUEST, true);
}

static bool attaching_may_end_with(dx_status status)
{
    return status == DX_OK || status == DX_ERR_STALE || status == DX_ERR_NOT_DX ||
           status == DX_ERR_VERSION || status == DX_ERR_GEOMETRY || status == DX_ERR_SHORT;
}

/* Attaches, makes some calls if it could, and leaves. */
static dx_status come_and_go(struct scene *s)
{
    int64_t start = dx_clock_ns();
    dx_status status = dx_attach(s->url, &s->wait, 2 * MS, &s->channel);
    assert_elapsed(start, 0, 2 * MS + MARGIN);
    if (!attaching_may_end_with(status))
        assert_status(status, DX_OK);
    if (status == DX_OK) {
        guard_begin(&s->guard, s->channel);
        atomic_store(&s->until_ns, dx_clock_ns() + 5 * MS);
        start_thread(s, serve_on);
        (void)call_on(s);
        end_traffic(s);
    }
    return status;
}

static dx_status look_and_go(const struct scene *s)
{
    struct dx_channel *observer;
    struct dx_stats stats;
    dx_status status = dx_observe(s->url, &observer);
    if (!attaching_may_end_with(status))
        assert_status(status, DX_OK);
    if (status != DX_OK)
        return status;
    for (int of = DX_STATS_HOST_CALLERS; of <= DX_STATS_HOST_SERVERS; of++)
        assert_status(dx_stats_read(observer, (enum dx_stats_of)of, &stats), DX_OK);
    return dx_close(observer);
}

static void a_guest_may_attach_while_its_host_scribbles(void **state)
{
    struct scene *s = set_scene(state, DX_GUEST, 0, true);
    unsigned attached = 0;
    unsigned observed = 0;
    enter(s);
    end_traffic(s);
    child_tell(&s->peer, 's');
    int open = count_entries("/proc/self/fd");
    for (int64_t until = dx_clock_ns() + scene_ns(); dx_clock_ns() < until;) {
        attached += come_and_go(s) == DX_OK;
        observed += look_and_go(s) == DX_OK;
    }
    assert_int_equal(count_entries("/proc/self/fd"), open);
    assert_true(attached > 0 && observed > 0);
    check_ends(s);
    check_growth();
}

/* Damages a region that nobody uses; with its magic it still is one. */
static void damage(const char *path, uint64_t seed, bool magic)
{
    struct dx_geometry g;
    struct scribbler_page page = {.everything = 1};
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_status(dx_geometry_make(4, 4, TRAFFIC_CAPACITY, TRAFFIC_CAPACITY, &g), DX_OK);
    void *base = mmap(NULL, g.region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(base != MAP_FAILED);
    struct scribbler s = {.base = base, .g = &g, .page = &page, .dice = {seed}};
    for (int i = 0; i < 3000; i++)
        scribbler_write(&s);
    struct dx_header *header = base;
    header->magic = !magic ? seed : seed % 2 == 0 ? DX_MAGIC : DX_MAGIC_REBUILDING;
    (void)munmap(base, g.region_bytes);
    (void)close(fd);
}

static void a_damaged_region_of_a_dead_host_is_taken_over(void **state)
{
    (void)state;
    const char *path = test_path("damaged");
    char url[TEST_URL_BYTES];
    test_file_url(path, url);
    for (uint64_t seed = 1; seed <= DAMAGED; seed++) {
        bool magic = seed % 5 != 0;
        (void)unlink(path);
        leave_stale(url, hostile_config(NULL));
        damage(path, seed, magic);
        all_is_right_with_new_peers(url, !magic);
    }
}

#define SCENE(f) cmocka_unit_test_teardown(f, clear_scene)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_host_bears_a_guest_that_writes_what_it_may),
        SCENE(a_host_bears_a_guest_that_writes_everywhere),
        SCENE(a_guest_bears_a_host_that_writes_what_it_may),
        SCENE(a_guest_bears_a_host_that_writes_everywhere),
        SCENE(a_guest_may_attach_while_its_host_scribbles),
        cmocka_unit_test(a_damaged_region_of_a_dead_host_is_taken_over),
    };
    attacker_or_test(argc, argv);
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
