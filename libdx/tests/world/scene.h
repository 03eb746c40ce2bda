/* SPDX-License-Identifier: Apache-2.0 */
/* One run of an operation whose calls may fail: what is there before it, the operation, and what
 * must be true after it. */
#ifndef DX_TEST_WORLD_SCENE_H
#define DX_TEST_WORLD_SCENE_H

#include <signal.h>

#include "peer.h"

#define SCENE_PLACES 3u
#define SCENE_WORDS 10u

enum scene_transport { SCENE_SHM, SCENE_FILE, SCENE_MEMFD, SCENE_UNIX, SCENE_TRANSPORTS };

/* The process under test, and what it has. */
struct stage {
    const char *folder; /* of this run; empty before and after it */
    const char *tag;    /* in every name that it makes in shared memory */
    enum scene_transport transport;
    char url[PEER_URL_BYTES];
    struct dx_wait wait;
    int64_t limit_ns; /* of the operation */
    struct dx_channel *channels[SCENE_PLACES];
    char text[4096]; /* what a program printed; "": dx_last_error says it */
    int memory;      /* of memfd:, as the peer gave it; -1 */
    struct peer peer;
    struct peer corpse; /* one that dies before the operation */
};

struct scene {
    const char *name;
    uint32_t transports; /* 1 << enum scene_transport */
    bool is_program;     /* its descriptors end with its process, which here is not over yet */
    enum dx_park park;
    dx_status (*prepare)(struct stage *s);
    dx_status (*operate)(struct stage *s); /* DX_OK, also again after it has failed */
    dx_status (*check)(struct stage *s);   /* what it was for is there: the other side goes on */
    dx_status (*clear)(struct stage *s);
};

#define SCENE_EVERYWHERE ((1u << SCENE_TRANSPORTS) - 1)
#define SCENE_NAMED (SCENE_EVERYWHERE & ~(1u << SCENE_MEMFD))
#define SCENE_AT_SHM (1u << SCENE_SHM)
#define SCENE_AT_UNIX (1u << SCENE_UNIX)

/* The last one has no name. */
extern const struct scene scenes[];
extern const struct scene tool_scenes[];
extern const struct scene look_scenes[];
extern const struct scene forward_scenes[];

/* The peer creates the region; a host that died has left one. */
dx_status scene_peer_creates(struct stage *s);
dx_status scene_leave_corpse(struct stage *s);

/* Runs the command dx with these words, up to a NULL. What it prints is s->text; DX_OK: code 0. */
dx_status scene_run(struct stage *s, const char *const *words);
#define SCENE_RUN(s, ...) scene_run((s), (const char *const[]){__VA_ARGS__, NULL})

/* A signal that comes from here on is there for who waits for it. */
void scene_block_term(sigset_t *term);

#endif
