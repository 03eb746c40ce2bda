/* SPDX-License-Identifier: Apache-2.0 */
/* The side that makes frames and writes them into the region: the host, or the guest. */
#ifndef DX_EXPERIMENT_FRAME_SENDER_H
#define DX_EXPERIMENT_FRAME_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct digest;

struct sender {
    size_t bytes;               /* of a frame */
    unsigned char *source;      /* frames are made here, unless in place */
    unsigned char *spare;       /* what one memcpy fills */
    const unsigned char *frame; /* where the frame was made; NULL: there is none yet */
    uint64_t sequence;
    uint64_t sum; /* of the frame's words */
    enum frame_fault fault;
};

/* New memory; only the source has been touched. What was there before is given back. */
bool sender_prepare(struct sender *s, size_t bytes);
void sender_close(struct sender *s);

/* Makes a frame and its digest, in the source or, if that is not NULL, at `place`. *ns is the
 * generation alone. */
bool sender_make(struct sender *s, struct digest *d, uint64_t sequence, enum frame_fault fault,
                 unsigned char *place, int64_t *ns, unsigned char digest[FRAME_DIGEST_BYTES]);

/* Writes the frame to the region; returns the time. A bit that is to flip does so after that. */
int64_t sender_write(const struct sender *s, unsigned char *region);

/* Does to the source what is to go wrong with a stream. */
void sender_spoil_stream(struct sender *s);

/* One memcpy of the frame, from where it was made to other memory of this side. */
int64_t sender_memcpy(const struct sender *s);

#endif
