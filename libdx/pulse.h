/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness across kernels. Each peer's heart beats: its channel's thread advances `heartbeat` in
 * the peer's lines every DX_PULSE_NS to DX_PULSE_SLOW_NS, as silence_ns and the other side need it.
 * A peer under another kernel whose heart stands still for the strategy's silence_ns counts as
 * dead. Time in which we did not run ourselves does not count as its silence: whoever was stopped,
 * wakes up, and sees an old heartbeat first looks again.
 */
#ifndef DX_PULSE_H
#define DX_PULSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "layout.h"

struct dx_channel;

#define DX_PULSE_NS 100000000ll
/* While no peer under another kernel is known: only one that attaches listens, for long enough.
 * Once it is attached it goes by its own silence_ns, before we have noticed it at our next beat, so
 * that no beat may be longer than the shortest silence: a second, which would cost an idle
 * channel less, makes living peers look dead. */
#define DX_PULSE_SLOW_NS 250000000ll
/* How long to listen for the first beat of a host that should be alive. */
#define DX_PULSE_LISTEN_NS (5 * DX_PULSE_NS)
#define DX_SILENCE_NS 1000000000ll
#define DX_SILENCE_MIN_NS (3 * DX_PULSE_NS)

_Static_assert(DX_PULSE_SLOW_NS < DX_SILENCE_MIN_NS && DX_PULSE_SLOW_NS < DX_PULSE_LISTEN_NS,
               "whoever listens hears the slow beat");

/* A channel's own heart, and its ear. */
struct dx_pulse {
    pthread_t thread;
    pthread_mutex_t lock; /* guards closing */
    pthread_cond_t wake;
    bool started;
    bool closing;
    _Atomic uint64_t heard;    /* the other side's heartbeat of a while ago */
    _Atomic int64_t silent_ns; /* how long it had been standing still then */
    _Atomic uint32_t ousted;   /* our place has been given to somebody else */
    _Atomic uint64_t here;     /* session of the other side that was seen to be under our kernel */
    _Atomic uint32_t nameless; /* the region's name has been removed */
};

/* Is this peer under another kernel, by its own word? One that says nothing is under ours. */
bool dx_pulse_elsewhere(const struct dx_peer_lines *peer);

/* One beat of ours. */
void dx_pulse_beat(struct dx_peer_lines *self);

/* What is listened for: a peer's next beat. */
struct dx_pulse_sample {
    const struct dx_peer_lines *peer; /* NULL: for nobody */
    uint64_t session;
    uint64_t first; /* heartbeat */
    bool heard;     /* it has beaten, or another has come in its place */
    bool closed;
};

/* Begins to listen to a peer. */
void dx_pulse_note(struct dx_pulse_sample *sample, const struct dx_peer_lines *peer);

/* Listens to all of them at once, for limit_ns at most: less if each is heard, or closed. */
void dx_pulse_listen(struct dx_pulse_sample *samples, uint32_t count, int64_t limit_ns);

/* Has it beaten since it was noted? The same peer, perhaps mapped elsewhere. */
bool dx_pulse_beaten(const struct dx_pulse_sample *sample, const struct dx_peer_lines *peer);

/* Listens to a peer for limit_ns at most. True as soon as its heart beats. */
bool dx_pulse_heard(const struct dx_peer_lines *peer, int64_t limit_ns);

/* Has a place no living peer from another kernel in it? Says so at once if nobody is in it, or
 * listens for limit_ns at most. Of peers under our own kernel their lock must have been asked. */
bool dx_pulse_absent(const struct dx_peer_lines *peer, int64_t limit_ns);

/* The same without listening: whoever seems to be there from another kernel may be. */
bool dx_pulse_vacant(const struct dx_peer_lines *peer);

/* Has the other side been heard within so long? A new one is at once. */
bool dx_pulse_alive(const struct dx_pulse *pulse, const struct dx_peer_lines *peer,
                    int64_t silence_ns);

/* The channel's thread: beats for it, listens to the other side, and notices if our place was
 * taken. Nothing for memory that cannot leave its kernel. */
dx_status dx_pulse_start(struct dx_channel *channel);
void dx_pulse_end(struct dx_channel *channel);

#endif
