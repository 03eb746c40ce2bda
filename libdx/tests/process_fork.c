/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that hold a channel and fork: pre-fork servers, daemons, children that outlive their
 * parent, and guests that inherit the descriptor of memfd:. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "channel.h"
#include "child.h"
#include "life.h"

/* Every public function on a copy, from the one that was forked. 0, or which was wrong. */
static int use_copy(void *user)
{
    struct life *l = user;
    struct dx_channel *c = l->ours;
    struct dx_caller *caller;
    struct dx_stats stats;
    struct dx_peer_info info;
    size_t bytes = 0;
    if (dx_call(l->caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, DX_FOREVER) != DX_ERR_FORKED ||
        strstr(dx_last_error(), "forked") == NULL)
        return 1;
    if (dx_call_in_place(l->caller, TYPE_ECHO, 0, NULL, DX_FOREVER) != DX_ERR_FORKED ||
        dx_call(l->caller, TYPE_ECHO, l, DX_CAPACITY_MAX, NULL, NULL, NULL, 0) != DX_ERR_FORKED)
        return 2;
    if (dx_caller_request(l->caller) != NULL || dx_caller_reply(l->caller).bytes != 0)
        return 3;
    if (dx_stream_read(l->stream, &stats, 1, &bytes, DX_FOREVER) != DX_ERR_FORKED ||
        dx_stream_write(l->stream, &stats, 1, &bytes, DX_FOREVER) != DX_ERR_FORKED ||
        dx_stream_wait(l->stream, DX_STREAM_READABLE, DX_FOREVER) != DX_ERR_FORKED ||
        dx_stream_end(l->stream, NULL, DX_FOREVER) != DX_ERR_FORKED)
        return 4;
    if (dx_caller_open(c, DX_FOREVER, &caller) != DX_ERR_FORKED || caller != NULL ||
        dx_serve(c, child_handler, NULL, NULL) != DX_ERR_FORKED)
        return 5;
    dx_channel_peer_info(c, &info);
    if (dx_channel_peer(c) != DX_PEER_NONE || info.peer != DX_PEER_NONE || info.session != 0 ||
        dx_channel_park_kind(c) != DX_PARK_FUTEX)
        return 6;
    if (dx_stats_read(c, DX_STATS_HOST_CALLERS, &stats) != DX_ERR_FORKED ||
        dx_stats_read_slot(c, 0, &stats) != DX_ERR_FORKED ||
        strstr(dx_channel_notice(c), "child") == NULL)
        return 7;
    dx_stop(c);
    /* What is only local is as it was. */
    if (dx_channel_request_capacity(c) != 64 || dx_channel_slots(c) != 2)
        return 8;
    dx_caller_close(l->caller);
    dx_caller_close(l->streamer);
    return dx_close(c) == DX_OK ? 0 : 9;
}

static void a_child_can_only_close(void **state)
{
    struct life *l = *state;
    life_pair(l, true);
    assert_exited(test_in_child(use_copy, l));
    /* The parent goes on, and the other side was told nothing. */
    life_call(l);
    assert_int_equal(dx_channel_peer(l->theirs), DX_PEER_ALIVE);
    life_assert_named(l, true);
    life_close(l);
    life_assert_named(l, false);
}

static void a_child_of_a_guest_can_only_close(void **state)
{
    struct life *l = *state;
    life_pair(l, false);
    assert_exited(test_in_child(use_copy, l));
    life_call(l);
    assert_int_equal(dx_channel_peer(l->theirs), DX_PEER_ALIVE);
    life_close(l);
}

/* The channel is served in another thread meanwhile, which the child does not have. */
static int close_served(void *user)
{
    return dx_close(((struct life *)user)->theirs) == DX_OK ? 0 : 1;
}

static void a_child_closes_what_its_parent_serves(void **state)
{
    struct life *l = *state;
    life_pair(l, true);
    assert_exited(test_in_child(close_served, l));
    life_call(l);
    life_close(l);
}

static int read_observed(void *user)
{
    struct dx_channel *c = user;
    struct dx_stats stats;
    if (dx_stats_read(c, DX_STATS_HOST_CALLERS, &stats) != DX_ERR_FORKED)
        return 1;
    return dx_close(c) == DX_OK ? 0 : 2;
}

static void a_child_of_an_observer_can_only_close(void **state)
{
    struct life *l = *state;
    struct dx_channel *observer;
    life_pair(l, true);
    assert_status(dx_observe(l->url, &observer), DX_OK);
    assert_exited(test_in_child(read_observed, observer));
    struct dx_stats stats;
    assert_status(dx_stats_read(observer, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_status(dx_close(observer), DX_OK);
    life_close(l);
}

/* Waits until all other threads sleep. A fork while one of them allocates leaves the child a locked
 * allocator, where that is a sanitizer's: glibc's is made ready for it. */
static void others_sleep(void)
{
    DIR *threads = opendir("/proc/self/task");
    assert_non_null(threads);
    for (const struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);
        if (id > 0 && id != (pid_t)syscall(SYS_gettid))
            test_await_state(id, 'S');
    }
    (void)closedir(threads);
}

/* A worker that was forked attaches by itself, and is the next guest. */
static int attach_anew(void *user)
{
    struct life *l = user;
    struct dx_channel *c;
    struct dx_caller *caller;
    if (dx_close(l->ours) != DX_OK || dx_attach(l->url, NULL, PATIENCE, &c) != DX_OK ||
        dx_caller_open(c, 0, &caller) != DX_OK)
        return 1;
    dx_status status = dx_call(caller, DX_TYPE_PING, NULL, 0, NULL, NULL, NULL, PATIENCE);
    dx_caller_close(caller);
    return dx_close(c) == DX_OK && status == DX_OK ? 0 : 2;
}

static void a_child_may_attach_by_itself(void **state)
{
    struct life *l = *state;
    struct serving serving;
    const struct dx_config config = life_config();
    assert_status(dx_create(l->url, &config, &l->ours), DX_OK);
    serving_start(&serving, l->ours, child_handler, &l->service, (struct dx_serve_options){0});
    others_sleep();
    assert_exited(test_in_child(attach_anew, l));
    assert_status(serving_join(&serving), DX_ERR_PEER_CLOSED);
    assert_status(dx_close(l->ours), DX_OK);
    l->ours = NULL;
}

/* A handler that forks; in the child it returns. */
static int32_t fork_in_handler(void *user, const struct dx_request *request,
                               struct dx_response *response)
{
    pid_t *child = user;
    (void)request;
    (void)response;
    *child = fork();
    if (*child == 0)
        watchdog_show_stacks();
    return 0;
}

static int serve_with_forks(void *user)
{
    struct life *l = user;
    struct dx_channel *c;
    pid_t child = -1;
    if (dx_attach(l->url, NULL, PATIENCE, &c) != DX_OK)
        return 1;
    dx_status status = dx_serve(c, fork_in_handler, &child, NULL);
    if (child == 0)
        _exit(status == DX_ERR_FORKED && dx_close(c) == DX_OK ? 0 : 50);
    int how = -1;
    if (waitpid(child, &how, 0) != child || !WIFEXITED(how) || WEXITSTATUS(how) != 0)
        return 2;
    return status == DX_ERR_PEER_CLOSED && dx_close(c) == DX_OK ? 0 : 3;
}

static void serving_ends_in_the_child_of_a_handler(void **state)
{
    struct life *l = *state;
    const struct dx_config config = life_config();
    assert_status(dx_create(l->url, &config, &l->ours), DX_OK);
    assert_status(dx_caller_open(l->ours, 0, &l->caller), DX_OK);
    pid_t guest = fork();
    if (guest == 0) {
        watchdog_show_stacks();
        _exit(serve_with_forks(l));
    }
    assert_true(guest > 0);
    assert_status(dx_call(l->caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, PATIENCE), DX_OK);
    life_close(l);
    int status = -1;
    assert_int_equal(waitpid(guest, &status, 0), guest);
    assert_exited(status);
}

/* fork() as who leaves out the handlers of pthread_atfork does it. */
static pid_t bare_fork(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

/* The other side's process: it has a child that holds on to all that it inherited, until `hold`
 * ends. Then it is killed. */
struct parent {
    struct life *life;
    pid_t (*fork)(void);
    bool host;
    bool worker_closes;
    int ready[2];
    int hold[2];
};

static int be_parent(struct parent *p)
{
    struct dx_channel *c;
    const struct dx_config config = life_config();
    dx_status status = p->host ? dx_create(p->life->url, &config, &c)
                               : dx_attach(p->life->url, NULL, PATIENCE, &c);
    if (status != DX_OK)
        return 1;
    if (p->fork() == 0) {
        char byte = 'c';
        (void)close(p->hold[1]);
        if (p->worker_closes && dx_close(c) != DX_OK)
            _exit(2);
        (void)!write(p->ready[1], &byte, 1);
        (void)!read(p->hold[0], &byte, 1);
        _exit(0);
    }
    (void)pause();
    return 3;
}

static pid_t start_parent(struct parent *p)
{
    char byte;
    assert_int_equal(pipe2(p->ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(p->hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        watchdog_show_stacks();
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(be_parent(p));
    }
    assert_true(pid > 0);
    assert_int_equal(read(p->ready[0], &byte, 1), 1);
    return pid;
}

static void end_child_of_parent(struct parent *p)
{
    for (int i = 0; i < 2; i++) {
        (void)close(p->hold[i]);
        (void)close(p->ready[i]);
    }
}

static void check_death(struct life *l, struct parent p)
{
    const struct dx_config config = life_config();
    p.life = l;
    if (!p.host)
        assert_status(dx_create(l->url, &config, &l->ours), DX_OK);
    pid_t pid = start_parent(&p);
    if (p.host)
        assert_status(dx_attach(l->url, NULL, PATIENCE, &l->ours), DX_OK);
    assert_status(dx_caller_open(l->ours, 0, &l->caller), DX_OK);
    assert_int_equal(dx_channel_peer(l->ours), DX_PEER_ALIVE);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_status(dx_call(l->caller, TYPE_ECHO, NULL, 0, NULL, NULL, NULL, PATIENCE),
                  DX_ERR_PEER_DEAD);
    assert_int_equal(dx_channel_peer(l->ours), DX_PEER_DEAD);
    /* The child still lives. */
    end_child_of_parent(&p);
    life_close(l);
}

static void a_host_s_death_is_noticed_though_its_child_lives(void **state)
{
    check_death(*state, (struct parent){.fork = fork, .host = true});
}

static void a_guest_s_death_is_noticed_though_its_child_lives(void **state)
{
    check_death(*state, (struct parent){.fork = fork});
}

static void a_death_is_noticed_though_the_child_closed_and_lives(void **state)
{
    check_death(*state, (struct parent){.fork = fork, .host = true, .worker_closes = true});
}

static void a_death_is_noticed_though_no_handler_of_fork_ran(void **state)
{
    check_death(*state, (struct parent){.fork = bare_fork, .host = true});
}

static void a_guest_s_death_is_noticed_though_no_handler_of_fork_ran(void **state)
{
    check_death(*state, (struct parent){.fork = bare_fork});
}

/* daemon(): who created exits at once, and its child is left with a copy. */
static int create_and_leave(void *user)
{
    struct life *l = user;
    const struct dx_config config = life_config();
    struct dx_caller *caller;
    if (dx_create(l->url, &config, &l->ours) != DX_OK)
        return 1;
    pid_t daemon = fork();
    if (daemon != 0)
        _exit(0);
    watchdog_show_stacks();
    char report = dx_caller_open(l->ours, 0, &caller) == DX_ERR_FORKED ? 'f' : 'x';
    char byte;
    (void)close(l->orders[1]); /* so that it ends with the test */
    (void)!write(l->reports[1], &report, 1);
    (void)!read(l->orders[0], &byte, 1);
    _exit(0);
}

static void a_daemon_has_no_channel_and_newcomers_do_not_wait_for_it(void **state)
{
    struct life *l = *state;
    struct dx_channel *c;
    char report = '\0';
    assert_exited(test_in_child(create_and_leave, l));
    assert_int_equal(read(l->reports[0], &report, 1), 1);
    assert_int_equal(report, 'f');
    dx_status status = dx_attach(l->url, NULL, 0, &c);
    assert_true(status == DX_ERR_STALE || status == DX_ERR_NO_PEER);
    /* And who comes is the host. */
    const struct dx_config config = life_config();
    assert_status(dx_create(l->url, &config, &l->ours), DX_OK);
    life_close(l);
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST(a_child_can_only_close),
        TRANSPORT_TEST(a_child_of_a_guest_can_only_close),
        TRANSPORT_TEST(a_child_closes_what_its_parent_serves),
        TRANSPORT_TEST(a_child_of_an_observer_can_only_close),
        TRANSPORT_TEST(a_child_may_attach_by_itself),
        TRANSPORT_TEST(serving_ends_in_the_child_of_a_handler),
        TRANSPORT_TEST(a_host_s_death_is_noticed_though_its_child_lives),
        TRANSPORT_TEST(a_guest_s_death_is_noticed_though_its_child_lives),
        TRANSPORT_TEST(a_death_is_noticed_though_the_child_closed_and_lives),
        TRANSPORT_TEST(a_death_is_noticed_though_no_handler_of_fork_ran),
        TRANSPORT_TEST(a_guest_s_death_is_noticed_though_no_handler_of_fork_ran),
        TRANSPORT_TEST(a_daemon_has_no_channel_and_newcomers_do_not_wait_for_it),
    };
    (void)argc;
    (void)argv;
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, life_open, life_end,
                               nothing_is_left);
}
