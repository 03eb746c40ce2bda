/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness across kernels. Each peer has a heartbeat: its channel's thread advances `heartbeat` in
 * the peer's lines every DX_HEARTBEAT_NS to DX_HEARTBEAT_SLOW_NS, as peer_timeout_ns and the other
 * side need it. A peer under another kernel whose heartbeat has not changed for the strategy's
 * peer_timeout_ns counts as dead. Time in which we did not run ourselves does not count: a process
 * that was stopped and sees an old heartbeat looks again first.
 */
#ifndef DX_LIVENESS_HEARTBEAT_H
#define DX_LIVENESS_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

#define DX_HEARTBEAT_NS 100000000ll
/* The distance of two beats while no peer under another kernel is known. Only a peer that attaches
 * listens then, and for long enough. But once it is attached it goes by its own peer_timeout_ns,
 * before we have noticed it at our next beat. So no distance may be longer than the shortest
 * timeout. One second would cost an idle channel less, and would make living peers look dead. */
#define DX_HEARTBEAT_SLOW_NS 250000000ll
/* How long to listen for the first beat of a host that should be alive. */
#define DX_HEARTBEAT_LISTEN_NS (5 * DX_HEARTBEAT_NS)
#define DX_PEER_TIMEOUT_NS 1000000000ll
#define DX_PEER_TIMEOUT_MIN_NS (3 * DX_HEARTBEAT_NS)

_Static_assert(DX_HEARTBEAT_SLOW_NS < DX_PEER_TIMEOUT_MIN_NS &&
                   DX_HEARTBEAT_SLOW_NS < DX_HEARTBEAT_LISTEN_NS,
               "whoever listens hears the slow beat");

/* A side's own heartbeat, and what it has heard of the other side's. */
struct dx_heartbeat {
    struct dx_peer_lines *self; /* what beats, and what is listened to */
    const struct dx_peer_lines *other;
    int64_t (*look)(void *user); /* before each beat: ns until the next one; 0: there is none */
    void *user;
    bool started;
    struct dx_heartbeat *next; /* of the process; this and what follows is the thread's */
    int64_t due_ns;            /* when the next beat is due; INT64_MAX: there is none */
    int64_t beat_ns;           /* since the one before */
    int64_t before_ns;         /* when that was looked at */
    _Atomic uint64_t heard;    /* the other side's heartbeat of a while ago */
    _Atomic int64_t silent_ns; /* how long it had been standing still then */
};

/* Is this peer under another kernel, by its own word? One that says nothing is under ours. */
bool dx_peer_is_remote(const struct dx_peer_lines *peer);

/* One beat of ours. */
void dx_heartbeat_write(struct dx_peer_lines *self);

/* A peer whose next beat somebody listens for. */
struct dx_heartbeat_sample {
    const struct dx_peer_lines *peer; /* NULL: for nobody */
    uint64_t session;
    uint64_t first; /* heartbeat */
    bool heard;     /* it has beaten, or another has come in its place */
    bool closed;
};

/* Begins to listen to a peer. */
void dx_heartbeat_note(struct dx_heartbeat_sample *sample, const struct dx_peer_lines *peer);

/* Listens to all of them at once, for limit_ns at most: less if each is heard, or closed. */
void dx_heartbeat_listen(struct dx_heartbeat_sample *samples, uint32_t count, int64_t limit_ns);

/* Has it changed since it was noted? The same peer, perhaps mapped elsewhere. */
bool dx_heartbeat_changed(const struct dx_heartbeat_sample *sample,
                          const struct dx_peer_lines *peer);

/* Listens to a peer for limit_ns at most. True as soon as its heartbeat changes. */
bool dx_heartbeat_heard(const struct dx_peer_lines *peer, int64_t limit_ns);

/* Returns true if no living peer under another kernel holds this place. It returns at once if
 * nobody holds it. Otherwise it listens, for limit_ns at most. Ask the lock first whether a peer
 * under our own kernel holds the place. */
bool dx_heartbeat_absent(const struct dx_peer_lines *peer, int64_t limit_ns);

/* The same without listening: false if a peer under another kernel may be there. */
bool dx_heartbeat_vacant(const struct dx_peer_lines *peer);

/* Has the other side been heard within peer_timeout_ns? A new one counts as heard. */
bool dx_heartbeat_alive(const struct dx_heartbeat *heartbeat, const struct dx_peer_lines *peer,
                        int64_t peer_timeout_ns);

/* Begins to beat and to listen: the first four fields are set before. One thread does so for all
 * channels of the process. */
dx_status dx_heartbeat_start(struct dx_heartbeat *heartbeat);
void dx_heartbeat_end(struct dx_heartbeat *heartbeat);

#endif
