/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fork leaves to the child. Shared memory is not inherited at all (MADV_DONTFORK), and with
 * it goes the description that carries the locks, since nothing but the mapping holds it. That
 * needs no code in the child, so that it is true of every child. Code in the child (pthread_atfork)
 * makes inert what is watched here.
 */
#ifndef DX_FORK_H
#define DX_FORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dx_status.h"

/* One that is told of forks: `forked` runs in the child, in its only thread. */
struct dx_fork_watch {
    void (*forked)(void *user);
    void *user;
    struct dx_fork_watch *next; /* both guarded by fork.c */
    struct dx_fork_watch *before;
};

/* Begins, and ends. Not in a child that was told. Any thread. */
dx_status dx_fork_watch(struct dx_fork_watch *watch);
void dx_fork_forget(struct dx_fork_watch *watch);

/* mmap of shared memory that a child does not inherit. No fork comes between. */
void *dx_fork_map(size_t bytes, int protection, int fd, uint64_t offset);

/* Puts `with` in place of *fd, which is closed, and sets *replaced. A child has either both or the
 * new one. */
void dx_fork_replace(int *fd, int with, bool *replaced);

#endif
