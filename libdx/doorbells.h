/* SPDX-License-Identifier: Apache-2.0 */
/* The peers at a rendezvous: by which eventfd each is rung, and which have left. */
#ifndef DX_DOORBELLS_H
#define DX_DOORBELLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "ivshmem_wire.h"

struct dx_doorbell {
    uint32_t id;
    int fd;
    uint32_t users; /* the table, and those who ring it just now */
};

/* Any thread; never waits for a peer. */
struct dx_doorbells {
    pthread_mutex_t lock;
    struct dx_doorbell **bells;
    uint32_t count;
    uint32_t room;
    uint64_t left[DX_IVSHMEM_IDS / 64]; /* ids that have been here and are gone */
};

void dx_doorbells_init(struct dx_doorbells *d);

/* Closes all descriptors. */
void dx_doorbells_close(struct dx_doorbells *d);

/* In the child of a fork, where nobody else is: unlocked, and nobody is known. */
void dx_doorbells_forked(struct dx_doorbells *d);

/* A peer is there, to be rung by fd, which is owned from now on. A second vector of a peer that is
 * known is closed: one is enough for us. False: no memory, no such id, or no eventfd. */
bool dx_doorbells_join(struct dx_doorbells *d, int64_t id, int fd);

void dx_doorbells_leave(struct dx_doorbells *d, int64_t id);

/* Has this peer been there, and left? */
bool dx_doorbells_left(struct dx_doorbells *d, uint32_t id);

/* Rings a peer; one whose eventfd is full has rings enough. False: nobody of that id. */
bool dx_doorbells_ring(struct dx_doorbells *d, uint32_t id);

/*
 * Single eventfds, which others share with us: of what they share, they can change the flags and
 * the count at any time, and they may have sent something else.
 */

/* Can this be an eventfd? Anything but one must not be written to or waited for: a pipe, for
 * example, can end our process by SIGPIPE. */
bool dx_doorbell_is_one(int fd);

/* Rings one, unless it is full. */
void dx_doorbell_write(int fd);

/* Takes all rings of one. Never waits for one, whatever its flags are. */
void dx_doorbell_take(int fd);

#endif
