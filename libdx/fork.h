/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fork leaves to the child: a copy of each channel that is inert. The child has neither the
 * threads nor the memory of its parent, and must not hold what tells others that the parent lives.
 *
 * The memory is not inherited at all (MADV_DONTFORK), and with it goes the description that carries
 * the locks, since nothing but the mapping holds it. That needs no code in the child, so that it is
 * true of every child. Code in the child (pthread_atfork) closes the descriptors of the link, says
 * in `stopping` that this is a copy, and puts zero bytes where the memory was.
 */
#ifndef DX_FORK_H
#define DX_FORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dx_status.h"

struct dx_channel;
struct dx_region;

/* Values of a channel's `stopping`. */
enum dx_stopping { DX_GOES_ON = 0, DX_STOPS = 1, DX_FORKED = 2 };

/* The channel is known to forks from here on, and until here. Any thread. */
dx_status dx_fork_watch(struct dx_channel *channel);
void dx_fork_forget(struct dx_channel *channel);

/* mmap of shared memory that a child does not inherit. No fork comes between. */
void *dx_fork_map(size_t bytes, int protection, int fd, uint64_t offset);

/* Puts `fd` in place of the descriptor of a mapped region, and closes that one. A child has either
 * both or the new one. */
void dx_fork_replace(struct dx_region *region, int fd);

#endif
