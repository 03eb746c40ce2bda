/* SPDX-License-Identifier: Apache-2.0 */
/* The side that a frame comes to: what it does with one that lies in the region. */
#ifndef DX_EXPERIMENT_FRAME_RECEIVER_H
#define DX_EXPERIMENT_FRAME_RECEIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct digest;
struct dx_stream;

struct receiver {
    unsigned char *copy; /* where frames are copied to */
    size_t room;         /* of the copy */
};

/* New memory, not touched. What was there before is given back. */
bool receiver_prepare(struct receiver *r, size_t bytes);
void receiver_close(struct receiver *r);

/* Whether a phase looks at the frame in the region; the others need the copy alone. */
bool receiver_reads_region(uint32_t type);

/* One phase, from COPY to VERIFY_PLACE, on the content that lies there with that head, whose bytes
 * have been checked. False: it is no such phase. */
bool receiver_act(const struct receiver *r, struct digest *d, uint32_t type,
                  const struct frame_head *head, const unsigned char *content,
                  struct frame_report *report);

/* Copies a stream, or reads it without a copy; returns how many bytes there were. */
size_t receiver_take(const struct receiver *r, struct dx_stream *stream, bool drop,
                     int64_t timeout_ns);

#endif
