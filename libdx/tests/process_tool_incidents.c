/* SPDX-License-Identifier: Apache-2.0 */
/* The incidents of docs/operating.md, made on purpose: what is to be seen of each, and that what is
 * to be done about it helps. */
#include "top_run.h"

/* A handler that takes its time: the caller has sent, the server has not answered, nobody fails. */
static void a_slow_handler(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    call_well(s);
    child_tell(&s->host, 'b');
    assert_int_equal(child_hear(&s->guest), 'e');
    /* The caller waits for it all the time, when it has spun for long enough. */
    const struct result *r = look_for(s, "host.asleep", 0.5);
    assert_value_of(r, "host.state", "\"open\"");
    assert_value_of(r, "guest.state", "\"open\"");
    assert_true(number_of(r, "host.calls_per_s") <= 0);
    assert_true(number_of(r, "host.errors_per_s") <= 0);
    assert_true(number_of(r, "guest.asleep") <= 0); /* the server is not idle */
    r = run("top", "-once", "-slots", s->url);
    assert_says(r, "   0 host  sending      acknowledged ");
    child_tell(&s->guest, 'g');
    call_well(s);
}

/* It is not dead: its locks are held, and nobody may take its place. Only its heartbeat stands. */
static void a_peer_that_is_stopped(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    call_well(s);
    (void)look_for(s, "guest.beats_per_s", 0);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0);
    test_await_state(s->guest.pid, 'T');
    const struct result *r = look_at(s);
    assert_value_of(r, "guest.state", "\"open\"");
    assert_true(number_of(r, "guest.beats_per_s") <= 0);
    (void)look_for(s, "host.beats_per_s", 0);
    assert_int_equal(kill(s->guest.pid, SIGCONT), 0);
    call_well(s);
    (void)look_for(s, "guest.beats_per_s", 0);
}

static void a_guest_that_was_killed(void **state)
{
    struct scene *s = *state;
    char pid[32];
    start_host(s);
    start_guest(s);
    call_well(s);
    child_kill(&s->guest);
    assert_value_of(look_at(s), "guest.state", "\"dead\"");
    assert_says(run("ls", s->url, NULL, NULL), "alive"); /* the host is there */
    child_tell(&s->host, 'c');
    assert_int_equal(child_hear(&s->host), 'f'); /* its end is told once */
    assert_number(run("info", "-json", s->url, NULL), "counters.host_callers.errors", 1);
    start_guest(s);
    const struct result *r = look_at(s);
    assert_value_of(r, "guest.state", "\"open\"");
    (void)snprintf(pid, sizeof pid, "%d", (int)s->guest.pid);
    assert_value_of(r, "guest.pid", pid);
    call_well(s);
}

/* For how long a process was ready and had no CPU, in ns. */
static double waited_ns(pid_t pid)
{
    char path[64];
    char text[128] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof text, file) == NULL || strchr(text, ' ') == NULL)
        fail_msg("%s cannot be read", path);
    (void)fclose(file);
    return strtod(strchr(text, ' '), NULL);
}

static pid_t start_hog(void)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (getppid() == parent)
            ; /* it needs a CPU all the time */
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

/* Both sides and a neighbour share one CPU. Calls go on and none fails; what grows is the time for
 * which a side was ready and could not run. */
static void a_cpu_that_is_stolen(void **state)
{
    struct scene *s = *state;
    cpu_set_t before;
    cpu_set_t one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &before))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    start_host(s);
    start_guest(s);
    pid_t neighbour = start_hog();
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    double waited = waited_ns(s->guest.pid);
    while (waited_ns(s->guest.pid) <= waited)
        call_well(s);
    const struct result *r = run("info", "-json", s->url, NULL);
    assert_number(r, "counters.host_callers.errors", 0);
    end_calls(neighbour);
}

/* With a strategy that never spins each call sleeps, and somebody has to wake it. */
static void parking_that_costs(void **state)
{
    struct scene *s = *state;
    const char *path = test_path("sleepy.toml");
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs("spin_min = 0\nspin_max = 0\nspin_start = 0\npark = \"futex\"\n", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(setenv("DX_WAIT", path, 1), 0);
    start_host(s);
    start_guest(s);
    assert_int_equal(unsetenv("DX_WAIT"), 0);
    pid_t calls = start_calls(s);
    const struct result *r = look_for(s, "host.park_per_s", 0);
    assert_true(number_of(r, "host.spin_per_s") <= 0);
    (void)look_for(s, "guest.rings_per_s", 0);
    end_calls(calls);
    assert_int_equal(unlink(path), 0);
    test_paths()->count--;
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF("shm", a_slow_handler),
        TRANSPORT_TEST_OF("shm", a_peer_that_is_stopped),
        TRANSPORT_TEST_OF("shm", a_guest_that_was_killed),
        TRANSPORT_TEST_OF("unix", a_guest_that_was_killed),
        TRANSPORT_TEST_OF("shm", a_cpu_that_is_stolen),
        TRANSPORT_TEST_OF("shm", parking_that_costs),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
