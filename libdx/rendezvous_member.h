/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One client of a rendezvous: what it has been told, and what is still to be told to it.
 *
 * A descriptor that was sent and not yet received counts against a limit of the whole user
 * (RLIMIT_NOFILE; ETOOMANYREFS), and it stays on its way for as long as the client keeps its socket
 * and does not read. So a client is sent its first descriptor only after it has read the two
 * numbers before it, and a few at once only while few are on their way to all clients together. A
 * client that has stopped reading is sent nothing more. What it has missed is kept as what it does
 * not know yet, which is bounded by who is there, and not as a queue.
 */
#ifndef DX_RENDEZVOUS_MEMBER_H
#define DX_RENDEZVOUS_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "rendezvous.h"
#include "rendezvous_wire.h"

/* Everybody who is there, and as many who have left before a client that does not read was told
 * that they had come. Of more than that it forgets the oldest. */
#define DX_MEMBER_NEWS_MAX (2 * DX_RENDEZVOUS_MEMBERS_MAX + 8)

struct dx_member_news {
    const struct dx_member *who; /* NULL: it has left */
    uint32_t id;
    uint32_t told; /* of its eventfds */
};

struct dx_member {
    uint32_t id;
    int socket;
    bool paused;   /* no descriptor could be sent: not tried again until this is cleared, since the
                      attempt itself is an event of the socket */
    bool joined;   /* it has read its id: it has eventfds, and is in the others' news */
    uint32_t said; /* messages of the greeting, before the news */
    uint32_t unread;    /* messages sent since it was last seen to have read all */
    uint32_t in_flight; /* descriptors among them */
    int64_t silent_ns;  /* when it was last seen to read; has a meaning while unread != 0 */
    int bells[DX_RENDEZVOUS_VECTORS_MAX];
    uint32_t news_count;
    struct dx_member_news news[DX_MEMBER_NEWS_MAX];
};

/* Descriptors on their way to all clients of one rendezvous. */
struct dx_member_budget {
    uint32_t in_flight;
    uint32_t in_flight_max; /* beyond it a client gets one at a time */
};

/* Makes a client that owns the socket and has been sent nothing. NULL: no memory. */
struct dx_member *dx_member_new(uint32_t id, int socket);

/* Closes all that it has. */
void dx_member_close(struct dx_member *m);

/* The same, and frees it. */
void dx_member_free(struct dx_member *m, struct dx_member_budget *budget);

/* Gives it its eventfds. False: not all could be had; what was had is kept. */
bool dx_member_open_bells(struct dx_member *m, uint32_t vectors);

/* Has the client left something unread? This looks at its socket. */
bool dx_member_is_behind(struct dx_member *m, struct dx_member_budget *budget);

/* Has it read its id, after that look, and is it not joined yet? */
bool dx_member_may_join(const struct dx_member *m);

/* Notes that this client is to be told that `who` came, which may be itself; that `who` left, if it
 * knows of it. */
void dx_member_add(struct dx_member *m, const struct dx_member *who);
void dx_member_remove(struct dx_member *m, uint32_t who);

/* Is there anything to be said about this id? */
bool dx_member_has_news_of(const struct dx_member *m, uint32_t id);

/* Sends what it may be sent now. False: the kernel has no room for it, try again in a while. */
bool dx_member_tell(struct dx_member *m, const struct dx_rendezvous_config *config,
                    struct dx_member_budget *budget, int64_t now_ns);

#endif
