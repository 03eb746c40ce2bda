/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child is forked from a program with many threads, so that it makes system calls and nothing
 * else. The parent reads what it wrote only after its end.
 */
#include "nap.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

static int64_t own_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The last sleep may go on a little beyond the duration. Returns how many they were. */
static uint64_t sleep_for(int64_t sleep_ns, int64_t duration_ns)
{
    const struct timespec length = {.tv_sec = sleep_ns / 1000000000,
                                    .tv_nsec = sleep_ns % 1000000000};
    uint64_t sleeps = 0;
    for (int64_t until = floor_now_ns() + duration_ns; floor_now_ns() < until; sleeps++)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
    return sleeps;
}

static void nap(pid_t parent, int64_t sleep_ns, int64_t settle_ns, int64_t duration_ns,
                struct floor_naps *out)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    (void)sleep_for(sleep_ns, settle_ns);
    int64_t began_ns = floor_now_ns();
    int64_t before_ns = own_cpu_ns();
    out->sleeps = sleep_for(sleep_ns, duration_ns);
    out->cpu_ns = own_cpu_ns() - before_ns;
    out->elapsed_ns = floor_now_ns() - began_ns;
    _exit(0);
}

int floor_nap(int64_t sleep_ns, int64_t settle_ns, int64_t duration_ns, struct floor_naps *out)
{
    struct floor_naps *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return errno;
    /* With every signal blocked, since the child is not the Go runtime's. */
    sigset_t every;
    sigset_t before;
    (void)sigfillset(&every);
    (void)pthread_sigmask(SIG_SETMASK, &every, &before);
    pid_t self = getpid();
    pid_t child = fork();
    if (child == 0)
        nap(self, sleep_ns, settle_ns, duration_ns, shared);
    int error = child < 0 ? errno : 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child > 0) {
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        error = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ECHILD;
    }
    *out = *shared;
    (void)munmap(shared, sizeof *shared);
    return error;
}
