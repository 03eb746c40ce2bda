/* SPDX-License-Identifier: Apache-2.0 */
/* The peers at a rendezvous: by which eventfd each is rung, and which have left. */
#ifndef DX_DOORBELL_SET_H
#define DX_DOORBELL_SET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dx_status.h"
#include "rendezvous_wire.h"

struct dx_doorbell {
    uint32_t id;
    int fd;
    uint32_t users; /* the table, each thread that rings it now, and the guard that frees one */
    uint32_t rings; /* rings under way */
};

/*
 * Any thread may use it. A peer can fill an eventfd and make it blocking while we ring it. That
 * holds up the thread that rings, and no flag of ours prevents it. So a thread of its own, the
 * guard, looks every DX_DOORBELLS_LOOK_NS whether a ring is stuck, for as long as there are rings.
 * It takes the eventfd's count away until the ring is through. A timer for each ring would cost
 * more than the ring. Meanwhile only the threads that ring that peer are held up.
 */
#define DX_DOORBELLS_LOOK_NS 10000000ll

struct dx_doorbells {
    pthread_mutex_t lock;
    struct dx_doorbell own; /* by which we ring ourselves; its descriptor is another's */
    uint64_t rung;          /* rings so far */
    uint32_t under_way;     /* rings that have not ended */
    bool guarded;
    bool asleep; /* the guard waits for a ring, which wakes it */
    bool closing;
    pthread_t guard;
    pthread_cond_t wake; /* the guard waits for it: a ring, or closing */
    struct dx_doorbell **bells;
    uint32_t count;
    uint32_t room;
    uint64_t left[DX_IVSHMEM_IDS / 64]; /* ids that have been here and are gone */
};

void dx_doorbells_init(struct dx_doorbells *d);

/* Our own eventfd is rung as that of peer `id`. */
void dx_doorbells_own(struct dx_doorbells *d, uint32_t id, int fd);

/* Starts the thread that frees those who ring. */
dx_status dx_doorbells_guard(struct dx_doorbells *d);

/* Ends the thread, and closes all descriptors. */
void dx_doorbells_close(struct dx_doorbells *d);

/* In the child of a fork, where nobody else is: unlocked, and nobody is known. */
void dx_doorbells_forked(struct dx_doorbells *d);

/* Adds a peer that is rung by fd, which the table owns from now on. A second vector of a known peer
 * is closed: one is enough. False: no memory, no such id, or fd is no eventfd. */
bool dx_doorbells_join(struct dx_doorbells *d, int64_t id, int fd);

void dx_doorbells_leave(struct dx_doorbells *d, int64_t id);

/* Has this peer been here, and left? */
bool dx_doorbells_left(struct dx_doorbells *d, uint32_t id);

/* Rings a peer. A full eventfd has rings enough and is left alone. False: no peer has that id. */
bool dx_doorbells_ring(struct dx_doorbells *d, uint32_t id);

/* Gives up a bell that was held. Hold the lock of its table. */
void dx_doorbell_release(struct dx_doorbell *bell);

#endif
