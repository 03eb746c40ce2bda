/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One side's link to a rendezvous: the host's process serves it, or any process is its client. A
 * thread of the link hears who came and who left, and passes doorbells on to this process's
 * sleepers.
 */
#ifndef DX_RENDEZVOUS_LINK_H
#define DX_RENDEZVOUS_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "dx_status.h"

struct dx_link;
struct dx_channel;

/* Whom a link tells what. It knows nothing more of the channel. */
struct dx_link_user {
    struct dx_channel *channel;
    void (*left)(struct dx_channel *channel, int64_t id); /* this peer has left */
    void (*rung)(struct dx_channel *channel);             /* our eventfd was rung */
    const _Atomic uint64_t *found; /* how often its sleepers have found news */
};

/* Serves path with this memory, which it owns from now on, as peer 0. Nobody finds it before
 * dx_link_publish. */
dx_status dx_link_serve(const char *path, int memory, struct dx_link **out);
dx_status dx_link_publish(struct dx_link *link);

/* A guest's device takes the place of a rendezvous. It rings others, and may have a bell. It does
 * not tell who leaves. The link owns what *bells holds from now on, also on failure. */
struct dx_ivshmem_bells;
dx_status dx_link_of_device(const struct dx_ivshmem_bells *bells, struct dx_link **out);

/* Can somebody ring us? Does the link tell when the other side ends? */
bool dx_link_hears(const struct dx_link *link);
bool dx_link_has_news(const struct dx_link *link);

/* Do the sleepers of a channel wait for the bell themselves, in place of the thread? They do where
 * the link has one channel: a thread between them would cost two more wake-ups. */
bool dx_link_is_sole(const struct dx_link *link);

/* Takes all rings of our own eventfd. After this call, look again at what the rings were for. */
void dx_link_forget_rings(struct dx_link *link);

/* Waits for a ring of our own eventfd, and leaves it there. False: none came. */
bool dx_link_hear(struct dx_link *link, int64_t timeout_ns);

/* How long a greeting may take where nobody says otherwise. */
#define DX_LINK_GREETING_NS 1000000000ll

/* Joins what is served at path, whose greeting must be complete by by_ns (0: after
 * DX_LINK_GREETING_NS); a server that is silent for a second is given up before that. *memory is a
 * descriptor for the caller to own. DX_ERR_NO_PEER: nobody serves. DX_ERR_PERMISSION, _CORRUPT (a
 * server that speaks something else), _TIMEOUT, _SYSTEM (no descriptor is left for what it sends).
 */
dx_status dx_link_join(const char *path, int64_t by_ns, struct dx_link **out, int *memory);

/* Starts the thread, unless it runs: from now on it tells the user when peers leave, and when our
 * eventfd is rung. */
dx_status dx_link_start(struct dx_link *link, const struct dx_link_user *user);

/* After its return the user of this channel is told nothing more. link may be NULL. */
void dx_link_stop(struct dx_link *link, const struct dx_channel *channel);

/* Another region of this process uses the link, too; each closes it once. */
struct dx_link *dx_link_share(struct dx_link *link);

/* Before dx_link_start: waits until something is new, timeout_ns at most; false if the server is
 * gone. */
bool dx_link_await_news(struct dx_link *link, int64_t timeout_ns);

/* What a side writes into its peer line so that the other side can ring it: 1 + its id. */
uint32_t dx_link_doorbell_id(const struct dx_link *link);

/* Is the peer with this doorbell_id known to be gone? doorbell_id is input. Any thread. */
bool dx_link_left(struct dx_link *link, uint32_t doorbell_id);

/* Rings a peer. doorbell_id is input. Any thread. */
void dx_link_ring(struct dx_link *link, uint32_t doorbell_id);

/* Returns a duplicate of our own eventfd, for somebody who passes doorbells on in place of the
 * thread; -1 if there is none. */
int dx_link_take_bell(struct dx_link *link);

/* In the child of a fork: nothing of the parent's is kept, and dx_link_close frees and no more. */
void dx_link_forked(struct dx_link *link);

/* The call of the last holder ends the thread and all connections. link may be NULL. */
void dx_link_close(struct dx_link *link);

#endif
