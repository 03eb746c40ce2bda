/* SPDX-License-Identifier: Apache-2.0 */
/* The channels of this process that share a link: one, or a host's one for each of its places. */
#ifndef DX_LINK_CHANNELS_H
#define DX_LINK_CHANNELS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dx_channel.h"

/* Any thread. */
struct dx_link_channels {
    pthread_mutex_t lock; /* held while a channel is looked at, so that none ends meanwhile */
    struct dx_channel *list[DX_GUESTS_MAX];
    uint32_t count;
    uint32_t users;      /* regions that hold the link */
    uint64_t left_found; /* by sleepers of channels that are gone */
};

void dx_link_channels_init(struct dx_link_channels *l);
void dx_link_channels_destroy(struct dx_link_channels *l);

/* In the child of a fork, where nobody else is: unlocked, and empty. */
void dx_link_channels_forked(struct dx_link_channels *l);

/* One user more. One less: true if that was the last. */
void dx_link_channels_share(struct dx_link_channels *l);
bool dx_link_channels_release(struct dx_link_channels *l);

/* Is there one user only? */
bool dx_link_channels_sole(struct dx_link_channels *l);

void dx_link_channels_add(struct dx_link_channels *l, struct dx_channel *channel);

/* From its return on nobody looks at the channel. */
void dx_link_channels_remove(struct dx_link_channels *l, const struct dx_channel *channel);

/* The peer of this id has left: rings those of our sleepers who wait for it. */
void dx_link_channels_left(struct dx_link_channels *l, int64_t id);

/* Our eventfd was rung: wakes those whose cells were. */
void dx_link_channels_dispatch(struct dx_link_channels *l);

/* How often sleepers of these channels have found news. */
uint64_t dx_link_channels_found(struct dx_link_channels *l);

#endif
