/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"

#include <signal.h>

/* More than the functions need, for the sake of sanitizers and of handlers, which run on threads of
 * dx_serve. Memory that is not touched costs nothing. */
#define STACK_BYTES ((size_t)256 * 1024)

static int create(pthread_t *thread, void *(*run)(void *user), void *user)
{
    pthread_attr_t attributes;
    size_t bytes = 0;
    int failed = pthread_attr_init(&attributes);
    if (failed != 0)
        return failed;
    /* The default that the program has chosen, or its limit of the stack. */
    if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < STACK_BYTES)
        failed = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (failed == 0)
        failed = pthread_create(thread, &attributes, run, user);
    (void)pthread_attr_destroy(&attributes);
    return failed;
}

int dx_thread_start(pthread_t *thread, void *(*run)(void *user), void *user)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = create(thread, run, user);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void dx_thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}
