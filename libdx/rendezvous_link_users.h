/* SPDX-License-Identifier: Apache-2.0 */
/* Who shares a link: one channel, or a host's one for each of its places. */
#ifndef DX_RENDEZVOUS_LINK_USERS_H
#define DX_RENDEZVOUS_LINK_USERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dx_channel.h"
#include "rendezvous_link.h"

/* Any thread. */
struct dx_link_users {
    pthread_mutex_t lock; /* held while one is told something, so that none ends meanwhile */
    struct dx_link_user list[DX_GUESTS_MAX];
    uint32_t count;
    uint32_t holders;    /* regions that hold the link */
    uint64_t left_found; /* by sleepers of those who are gone */
};

void dx_link_users_init(struct dx_link_users *u);
void dx_link_users_destroy(struct dx_link_users *u);

/* In the child of a fork, where nobody else is: unlocked, and empty. */
void dx_link_users_forked(struct dx_link_users *u);

/* One holder more. One less: true if that was the last. */
void dx_link_users_share(struct dx_link_users *u);
bool dx_link_users_release(struct dx_link_users *u);

/* Is there one holder only? */
bool dx_link_users_sole(struct dx_link_users *u);

void dx_link_users_add(struct dx_link_users *u, const struct dx_link_user *user);

/* From its return on the one of this channel is told nothing. */
void dx_link_users_remove(struct dx_link_users *u, const struct dx_channel *channel);

/* The peer of this id has left. Our eventfd was rung. */
void dx_link_users_left(struct dx_link_users *u, int64_t id);
void dx_link_users_rung(struct dx_link_users *u);

/* How often their sleepers have found news. */
uint64_t dx_link_users_found(struct dx_link_users *u);

#endif
