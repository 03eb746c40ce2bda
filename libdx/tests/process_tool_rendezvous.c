/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon of a rendezvous: its memory outlives hosts and guests, and it outlives both. */
#include <sys/resource.h>

#include "child.h"
#include "peers.h"

/* The build says which; a tool that only reads the source need not know. */
#ifndef DX_TOOL
#define DX_TOOL "/nonexistent/dx"
#endif

struct scene {
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct service service;
    pid_t daemon;
    int output;
    struct child host;
    struct dx_channel *guest;
    struct serving serving;
};

static void start_daemon(struct scene *s)
{
    int output[2];
    char line[16] = "";
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    s->daemon = fork();
    if (s->daemon == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)execl(DX_TOOL, "dx", "rendezvous", "-bytes", "64K", s->path, (char *)NULL);
        _exit(127);
    }
    assert_true(s->daemon > 0);
    (void)close(output[1]);
    s->output = output[0];
    assert_int_equal(read(s->output, line, sizeof line - 1), 6);
    assert_string_equal(line, "ready\n");
}

/* Its exit status. */
static int end_daemon(struct scene *s, int signal_number)
{
    int status = -1;
    if (s->daemon == 0)
        return 0;
    (void)kill(s->daemon, signal_number);
    (void)waitpid(s->daemon, &status, 0);
    if (s->output >= 0)
        (void)close(s->output);
    s->daemon = 0;
    return status;
}

static struct scene *set_scene(void **state, const char *tag)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *state = s;
    s->path = test_path(tag);
    (void)snprintf(s->url, sizeof s->url, "unix:%s", s->path);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    s->service = (struct service){.tally = s->tally};
    start_daemon(s);
    return s;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    if (s == NULL)
        return 0;
    child_kill(&s->host);
    if (s->guest != NULL)
        dx_stop(s->guest);
    (void)serving_join(&s->serving);
    dx_status status = dx_close(s->guest);
    (void)end_daemon(s, SIGKILL);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return status == DX_OK ? 0 : -1;
}

static void start_host(struct scene *s)
{
    s->host = child_start("host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->host), 'a');
}

static void host_calls_well(struct scene *s)
{
    child_tell(&s->host, 'c');
    assert_int_equal(child_hear(&s->host), 'k');
}

static void attach_and_serve(struct scene *s, uint32_t flags)
{
    assert_status(dx_attach(s->url, NULL, PATIENCE, &s->guest), DX_OK);
    serving_start(&s->serving, s->guest, child_handler, &s->service,
                  (struct dx_serve_options){.flags = flags});
}

/* With this limit the daemon can neither poll(2) nor accept. */
static void a_daemon_without_descriptors_ends_as_it_is_told(void **state)
{
    const char *options = getenv("ASAN_OPTIONS");
    char *before = options != NULL ? strdup(options) : NULL;
    (void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* which needs descriptors */
    struct scene *s = set_scene(state, "none");
    if (before != NULL)
        (void)setenv("ASAN_OPTIONS", before, 1);
    else
        (void)unsetenv("ASAN_OPTIONS");
    free(before);
    const struct rlimit none = {0, 0};
    struct visitor v = {.reader = DX_IVSHMEM_READER_INIT, .bell = -1, .id = -1};
    int waiting;
    assert_status(dx_socket_connect(s->path, &v.socket), DX_OK);
    (void)visitor_be_greeted(&v);
    assert_int_equal(prlimit(s->daemon, RLIMIT_NOFILE, &none, NULL), 0);
    assert_status(dx_socket_connect(s->path, &waiting), DX_OK);
    /* Whoever talks is dropped: when that is seen, the daemon waits anew, or is about to. */
    assert_int_equal(write(v.socket, "x", 1), 1);
    while (!visitor_is_out(&v))
        assert_true(can_read(v.socket, -1));
    int status = end_daemon(s, SIGTERM);
    visitor_leave(&v);
    (void)close(waiting);
    assert_exited(status);
    assert_int_not_equal(access(s->path, F_OK), 0);
}

static void a_guest_serves_one_host_after_the_other_in_the_same_memory(void **state)
{
    struct scene *s = set_scene(state, "hosts");
    start_host(s);
    attach_and_serve(s, DX_SERVE_THROUGH_RESTART);
    for (int i = 0; i < 40; i++) { /* the program forks while it hears that a host has left */
        host_calls_well(s);
        child_kill(&s->host);
        start_host(s);
    }
    host_calls_well(s);
}

struct early {
    struct scene *scene;
    dx_status status;
};

static void *attach_early(void *user)
{
    struct early *e = user;
    e->status = dx_attach(e->scene->url, NULL, PATIENCE, &e->scene->guest);
    return NULL;
}

static void a_guest_may_come_before_its_host(void **state)
{
    struct scene *s = set_scene(state, "early");
    struct early early = {.scene = s};
    struct dx_channel *channel;
    pthread_t thread;
    assert_status(dx_attach(s->url, NULL, 0, &channel), DX_ERR_NO_PEER);
    assert_detail("no host has begun");
    assert_int_equal(pthread_create(&thread, NULL, attach_early, &early), 0);
    start_host(s);
    (void)pthread_join(thread, NULL);
    assert_status(early.status, DX_OK);
    serving_start(&s->serving, s->guest, child_handler, &s->service, (struct dx_serve_options){0});
    host_calls_well(s);
}

static void a_dead_hosts_end_is_heard(void **state)
{
    struct scene *s = set_scene(state, "heard");
    start_host(s);
    attach_and_serve(s, 0);
    host_calls_well(s);
    child_kill(&s->host);
    assert_status(serving_join(&s->serving), DX_ERR_PEER_DEAD);
}

static void traffic_survives_the_daemons_death(void **state)
{
    struct scene *s = set_scene(state, "dies");
    start_host(s);
    attach_and_serve(s, 0);
    host_calls_well(s);
    (void)end_daemon(s, SIGKILL);
    host_calls_well(s);
    start_daemon(s); /* takes the dead one's name over */
}

static void a_second_host_and_memory_that_is_too_small_are_refused(void **state)
{
    struct scene *s = set_scene(state, "refused");
    struct dx_channel *channel;
    const struct dx_config large = {.slots = 100, .request_capacity = 4096};
    assert_status(dx_create(s->url, &large, &channel), DX_ERR_SHORT);
    assert_detail("65536");
    start_host(s);
    assert_status(dx_create(s->url, NULL, &channel), DX_ERR_HOST_EXISTS);
    child_tell(&s->host, 'q');
    assert_int_equal(child_end(&s->host), 0);
    assert_status(dx_create(s->url, NULL, &channel), DX_OK);
    assert_status(dx_close(channel), DX_OK);
}

static void a_signal_ends_it_and_removes_the_name(void **state)
{
    struct scene *s = set_scene(state, "ends");
    const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(access(s->path, F_OK), 0);
        assert_int_equal(end_daemon(s, signals[i]), 0);
        assert_int_not_equal(access(s->path, F_OK), 0);
        start_daemon(s);
    }
}

/* Nothing that could be written to: with -v each that joins would be told of in there. */
static void assert_closed(pid_t pid, int fd)
{
    char path[64];
    char link[64] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    ssize_t length = readlink(path, link, sizeof link - 1);
    assert_true(length < 0 || strcmp(link, "/") == 0);
}

static void a_daemon_without_output_and_errors_serves_as_any_other(void **state)
{
    struct scene *s = set_scene(state, "mute");
    assert_int_equal(end_daemon(s, SIGTERM), 0);
    s->output = -1;
    s->daemon = fork();
    if (s->daemon == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int fd = 0; fd < 3; fd++)
            (void)close(fd);
        (void)execl(DX_TOOL, "dx", "rendezvous", "-v", s->path, (char *)NULL);
        _exit(127);
    }
    while (access(s->path, F_OK) != 0 && waitpid(s->daemon, NULL, WNOHANG) == 0)
        (void)sched_yield();
    start_host(s);
    attach_and_serve(s, 0);
    host_calls_well(s);
    for (int fd = 0; fd < 3; fd++)
        assert_closed(s->daemon, fd);
    assert_int_equal(end_daemon(s, SIGTERM), 0);
}

#define scened(test) cmocka_unit_test_teardown(test, clear_scene)

int main(int argc, char **argv)
{
    child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        scened(a_daemon_without_descriptors_ends_as_it_is_told),
        scened(a_guest_serves_one_host_after_the_other_in_the_same_memory),
        scened(a_guest_may_come_before_its_host),
        scened(a_dead_hosts_end_is_heard),
        scened(traffic_survives_the_daemons_death),
        scened(a_second_host_and_memory_that_is_too_small_are_refused),
        scened(a_signal_ends_it_and_removes_the_name),
        scened(a_daemon_without_output_and_errors_serves_as_any_other),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, nothing_is_left);
}
