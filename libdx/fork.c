/* SPDX-License-Identifier: Apache-2.0 */
#include "fork.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

/* Guards the list, and holds up forks while a mapping is made. Nothing else is locked under it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dx_fork_watch *watches;
static bool registered;

static void before(void)
{
    (void)pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    (void)pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (struct dx_fork_watch *w = watches; w != NULL; w = w->next)
        w->forked(w->user);
    watches = NULL;
    (void)pthread_mutex_unlock(&lock);
}

dx_status dx_fork_watch(struct dx_fork_watch *w)
{
    (void)pthread_mutex_lock(&lock);
    if (!registered && pthread_atfork(before, in_parent, in_child) != 0) {
        (void)pthread_mutex_unlock(&lock);
        return dx_fail(DX_ERR_SYSTEM, "no memory to be told of forks");
    }
    registered = true;
    w->next = watches;
    w->before = NULL;
    if (watches != NULL)
        watches->before = w;
    watches = w;
    (void)pthread_mutex_unlock(&lock);
    return DX_OK;
}

void dx_fork_forget(struct dx_fork_watch *w)
{
    (void)pthread_mutex_lock(&lock);
    if (w->before != NULL)
        w->before->next = w->next;
    else if (watches == w)
        watches = w->next;
    if (w->next != NULL)
        w->next->before = w->before;
    (void)pthread_mutex_unlock(&lock);
}

void *dx_fork_map(size_t bytes, int protection, int fd, uint64_t offset)
{
    (void)pthread_mutex_lock(&lock);
    void *base = mmap(NULL, bytes, protection, MAP_SHARED, fd, (off_t)offset);
    if (base != MAP_FAILED)
        (void)madvise(base, bytes, MADV_DONTFORK);
    (void)pthread_mutex_unlock(&lock);
    return base;
}

void dx_fork_replace(int *fd, int with, bool *replaced)
{
    (void)pthread_mutex_lock(&lock);
    int before_fd = *fd;
    *fd = with;
    *replaced = true;
    (void)close(before_fd);
    (void)pthread_mutex_unlock(&lock);
}
