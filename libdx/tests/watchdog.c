/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog.h"

#include <glob.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "watchdog_proc.h"

#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAVE_STACKS 1
#endif

#define TICK_S 1

/* A thread that slept ran or waited for less than this in a tick. */
#define ASLEEP_NS 50000000ull

/* Shared by the watchdog and the test; NULL where nobody watches. */
static _Atomic uint64_t *steps;

void watchdog_step(void)
{
    if (steps != NULL)
        atomic_fetch_add(steps, 1u);
}

#ifdef HAVE_STACKS
static void print_stack(int signal_number)
{
    void *frames[64];
    (void)signal_number;
    backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
}

void watchdog_show_stacks(void)
{
    struct sigaction action = {.sa_handler = print_stack, .sa_flags = SA_RESTART};
    void *frame;
    (void)backtrace(&frame, 1); /* loads what it needs, which a handler could not */
    (void)sigaction(WATCHDOG_SIGNAL, &action, NULL);
}
#else
void watchdog_show_stacks(void) {}
#endif

/* How much the time since the last look counts, in ms. */
static uint64_t quiet_ms(const struct proc_tree *before, const struct proc_tree *now)
{
    uint64_t ran = now->run_ns - before->run_ns;
    uint64_t waited = now->wait_ns - before->wait_ns;
    /* A thread that has ended took its times with it: that is no sleep. */
    if (now->run_ns < before->run_ns || now->wait_ns < before->wait_ns)
        return 0;
    return ran + waited < ASLEEP_NS ? TICK_S * 1000u : ran / 5000000u;
}

static void remove_names(pid_t test)
{
    char pattern[64];
    glob_t found;
    (void)snprintf(pattern, sizeof pattern, "/dev/shm/dx-test-%d-*", (int)test);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (unlink(found.gl_pathv[i]) != 0)
            (void)rmdir(found.gl_pathv[i]);
    globfree(&found);
}

/* Ends as the test did. */
_Noreturn static void end_like(pid_t test, int status)
{
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status));
    remove_names(test);
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)raise(WTERMSIG(status));
    _exit(128 + WTERMSIG(status));
}

_Noreturn static void give_up(pid_t test)
{
    (void)fprintf(stderr, "\nNo progress: the test hangs. What its threads are doing:\n");
    proc_explain();
    (void)kill(test, SIGKILL); /* its children die with it */
    (void)waitpid(test, NULL, 0);
    remove_names(test);
    _exit(124);
}

static uint64_t quiet_limit(void)
{
    const char *text = getenv("DX_TEST_QUIET_MS");
    return text != NULL ? strtoull(text, NULL, 10) : QUIET_MS;
}

_Noreturn static void watch(pid_t test, const sigset_t *child_ends)
{
    const uint64_t limit = quiet_limit();
    const struct timespec tick = {.tv_sec = TICK_S};
    struct proc_tree before = {0};
    uint64_t seen = 0;
    uint64_t quiet = 0;
    for (;;) {
        int status;
        (void)sigtimedwait(child_ends, NULL, &tick);
        if (waitpid(test, &status, WNOHANG) == test)
            end_like(test, status);
        uint64_t now = atomic_load(steps);
        struct proc_tree tree = proc_look();
        quiet = now == seen ? quiet + quiet_ms(&before, &tree) : 0;
        seen = now;
        before = tree;
        if (quiet >= limit)
            give_up(test);
    }
}

void watchdog_begin(void)
{
    sigset_t child_ends;
    sigset_t before;
    pid_t watchdog = getpid();
    watchdog_show_stacks();
    if (getenv("DX_TEST_ALONE") != NULL)
        return;
    void *page =
        mmap(NULL, sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        abort();
    steps = page;
    (void)sigemptyset(&child_ends);
    (void)sigaddset(&child_ends, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child_ends, &before);
    pid_t test = fork();
    if (test < 0)
        abort();
    if (test > 0)
        watch(test, &child_ends);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != watchdog)
        _exit(125);
}
