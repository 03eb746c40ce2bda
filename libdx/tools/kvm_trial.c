/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../clock.h"
#include "kvm_guest.h"

#define REAP_NS 1000000000ll

static void child(int kvm, int end, pid_t parent, volatile struct kvm_trial *trial)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        kvm_guest_run(kvm, trial);
    (void)close(end);
    _exit(0);
}

/* Waits until the only writer of a pipe has ended. False: time is up. */
static bool await_end(int pipe_end, int64_t timeout_ns)
{
    int64_t deadline_ns = dx_clock_ns() + timeout_ns;
    for (;;) {
        int64_t left_ns = deadline_ns - dx_clock_ns();
        struct pollfd p = {.fd = pipe_end, .events = POLLIN};
        int n = poll(&p, 1, left_ns > 0 ? (int)(left_ns / 1000000 + 1) : 0);
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

static void run_child(int kvm, const int ends[2], volatile struct kvm_trial *shared)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        child(kvm, ends[1], parent, shared);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        shared->error = errno;
        return;
    }
    shared->timed_out = !await_end(ends[0], KVM_TRIAL_NS);
    if (shared->timed_out)
        (void)kill(pid, SIGKILL);
    /* A process that the kernel holds on to is left to it: it has the signal. */
    bool ended = await_end(ends[0], REAP_NS);
    (void)waitpid(pid, NULL, ended ? 0 : WNOHANG);
}

void kvm_trial_run(const char *path, struct kvm_trial *trial)
{
    int ends[2];
    memset(trial, 0, sizeof *trial);
    int kvm = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (kvm < 0) {
        trial->error = errno;
        return;
    }
    struct kvm_trial *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || pipe2(ends, O_CLOEXEC) != 0) {
        trial->error = errno;
    } else {
        run_child(kvm, ends, shared);
        *trial = *shared;
        (void)close(ends[0]);
    }
    if (shared != MAP_FAILED)
        (void)munmap(shared, sizeof *shared);
    (void)close(kvm);
}
