/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes that wake each other. The child is forked from a program with many threads, so that
 * it makes system calls and nothing else until it ends.
 *
 *   R3 -> A3  a futex word: the turn
 */
#include "blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

enum { WARM_UP_TRIPS = 1000, APART = 128 };

/* A futex word, alone on its pair of lines: how often its side was rung. */
struct word {
    _Alignas(APART) _Atomic uint32_t value;
};

struct bells {
    enum floor_bell kind;
    struct word *words; /* shared by both processes: A's, then B's */
    int fds[2][2];      /* to read from and to write to: A's, then B's */
};

struct job {
    struct bells bells;
    int cpu[2];
    uint32_t warm_up;
    uint32_t trips;
    uint32_t *rtt_ns;
    int64_t cpu_ns;
    int error;
    _Atomic pid_t child; /* 0 until it was forked */
    _Atomic bool alone;  /* the child ended before its time */
};

static bool ring(struct bells *b, int side)
{
    if (b->kind == FLOOR_FUTEX) {
        atomic_fetch_add_explicit(&b->words[side].value, 1u, memory_order_release); /* R3 -> A3 */
        return syscall(SYS_futex, (uint32_t *)&b->words[side].value, FUTEX_WAKE, 1, NULL, NULL,
                       0) >= 0;
    }
    const uint64_t one = 1;
    return write(b->fds[side][1], &one, sizeof one) == (ssize_t)sizeof one;
}

/* Sleeps until the side was rung for the n-th time (n counts from 1). */
static bool await(struct bells *b, int side, uint32_t n)
{
    if (b->kind == FLOOR_FUTEX) {
        while (atomic_load_explicit(&b->words[side].value, memory_order_acquire) !=
               n) /* A3 <- R3 */
            if (syscall(SYS_futex, (uint32_t *)&b->words[side].value, FUTEX_WAIT, n - 1, NULL, NULL,
                        0) < 0 &&
                errno != EAGAIN && errno != EINTR)
                return false;
        return true;
    }
    uint64_t count;
    ssize_t got;
    do
        got = read(b->fds[side][0], &count, sizeof count);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof count;
}

static bool pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

/* The child: answers each ring until all are answered. */
static void answer(struct job *j, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || !pin(j->cpu[1]))
        _exit(1);
    for (uint32_t n = 1; n <= j->warm_up + j->trips; n++)
        if (!await(&j->bells, 1, n) || !ring(&j->bells, 0))
            _exit(1);
    _exit(0);
}

static int drive(struct job *j)
{
    for (uint32_t n = 1; n <= j->warm_up + j->trips; n++) {
        int64_t start_ns = floor_now_ns();
        if (!ring(&j->bells, 1) || !await(&j->bells, 0, n))
            return errno;
        /* Relaxed, here and below: only its value counts. */
        if (atomic_load_explicit(&j->alone, memory_order_relaxed))
            return ECHILD;
        int64_t ns = floor_now_ns() - start_ns;
        if (n > j->warm_up)
            j->rtt_ns[n - j->warm_up - 1] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
    }
    return 0;
}

static int64_t nanoseconds(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

/* Side A, a thread of its own: its CPU time is its own, and the child's end is tied to it. */
static void *side_a(void *arg)
{
    struct job *j = arg;
    if (!pin(j->cpu[0])) {
        j->error = errno;
        return NULL;
    }
    pid_t self = getpid();
    pid_t child = fork();
    if (child == 0)
        answer(j, self);
    if (child < 0) {
        j->error = errno;
        return NULL;
    }
    atomic_store_explicit(&j->child, child, memory_order_relaxed);
    j->error = drive(j);
    if (j->error != 0)
        (void)kill(child, SIGKILL);
    int status = 0;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0 && errno == EINTR)
        ;
    if (j->error == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        j->error = ECHILD;
    struct timespec own;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
    j->cpu_ns = (int64_t)own.tv_sec * 1000000000 + own.tv_nsec + nanoseconds(used.ru_utime) +
                nanoseconds(used.ru_stime);
    return NULL;
}

/* Joins side A. If its child has ended and it has not, a second later, it sleeps for ever: rings.
 */
static void join(struct job *j, pthread_t thread)
{
    struct timespec until;
    bool gone = false;
    do {
        if (gone) {
            atomic_store_explicit(&j->alone, true, memory_order_relaxed);
            (void)ring(&j->bells, 0);
        }
        pid_t child = atomic_load_explicit(&j->child, memory_order_relaxed);
        siginfo_t info = {0};
        gone = child != 0 && waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               info.si_pid == child;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
    } while (pthread_timedjoin_np(thread, NULL, &until) != 0);
}

/* Opens what the kind needs; what is not open stays -1 or NULL. */
static int open_bells(struct bells *b)
{
    memset(b->fds, -1, sizeof b->fds);
    if (b->kind == FLOOR_FUTEX) {
        void *place = mmap(NULL, 2 * sizeof *b->words, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED)
            return errno;
        b->words = place;
        return 0;
    }
    for (int side = 0; side < 2; side++) {
        if (b->kind == FLOOR_PIPE && pipe2(b->fds[side], O_CLOEXEC) != 0)
            return errno;
        if (b->kind == FLOOR_EVENTFD) {
            b->fds[side][0] = eventfd(0, EFD_CLOEXEC);
            b->fds[side][1] = b->fds[side][0];
            if (b->fds[side][0] < 0)
                return errno;
        }
    }
    return 0;
}

static void close_bells(struct bells *b)
{
    if (b->words != NULL)
        (void)munmap(b->words, 2 * sizeof *b->words);
    for (int side = 0; side < 2; side++) {
        if (b->fds[side][0] >= 0)
            (void)close(b->fds[side][0]);
        if (b->fds[side][1] >= 0 && b->fds[side][1] != b->fds[side][0])
            (void)close(b->fds[side][1]);
    }
}

int floor_blocking(enum floor_bell bell, int cpu_a, int cpu_b, uint32_t trips, uint32_t *rtt_ns,
                   int64_t *cpu_ns, uint32_t *all)
{
    struct job j = {.bells = {.kind = bell},
                    .cpu = {cpu_a, cpu_b},
                    .warm_up = trips < WARM_UP_TRIPS ? trips : WARM_UP_TRIPS,
                    .trips = trips,
                    .rtt_ns = rtt_ns};
    j.error = open_bells(&j.bells);
    if (j.error == 0) {
        /* With every signal blocked, since neither thread nor child is the Go runtime's. */
        pthread_t thread;
        sigset_t every;
        sigset_t before;
        (void)sigfillset(&every);
        (void)pthread_sigmask(SIG_SETMASK, &every, &before);
        int failed = pthread_create(&thread, NULL, side_a, &j);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (failed == 0)
            join(&j, thread);
        else
            j.error = failed;
    }
    close_bells(&j.bells);
    *cpu_ns = j.cpu_ns;
    *all = j.warm_up + j.trips;
    return j.error;
}
