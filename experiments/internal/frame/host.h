/* SPDX-License-Identifier: Apache-2.0 */
/* The host: makes frames, writes them into its slot and has the guest do one phase after the other;
 * or has the guest make and write them, and does the phases itself. One thread at a time may use a
 * host. */
#ifndef DX_EXPERIMENT_FRAME_HOST_H
#define DX_EXPERIMENT_FRAME_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct dx_wait;
struct frame_host;

/* Beside dx_status: what a call can bring that is no error of the channel. */
#define FRAME_REFUSED 1 /* the guest could not do that */
#define FRAME_STRANGE 2 /* the response is none, or that to another frame */

/* The times of one transfer, by the host's clock but for what the guest does itself. */
struct frame_transfer {
    int64_t write_ns;    /* sender's memory to region; 0 if there is no such step */
    int64_t exchange_ns; /* from announcing, or asking for, the frame to the guest's response */
    int64_t total_ns;    /* to the guest: from the first byte written to the acknowledgement; from
                            it: from asking to the last byte */
    int64_t receive_ns;  /* the receiver's copy, or read in place */
};

/* Creates a region with room for that many bytes of frame, or of a stream's ring, that go from
 * host to guest or, with `back`, from guest to host. */
int frame_host_create(const char *url, int back, size_t room, const struct dx_wait *wait,
                      int64_t timeout_ns, struct frame_host **out);
void frame_host_stop(struct frame_host *h); /* any thread: ends calls in flight */
int frame_host_close(struct frame_host *h);
int frame_host_fd(const struct frame_host *h);
uint64_t frame_host_region_bytes(const struct frame_host *h);

/* How waits on the host and on the guest have ended so far, by libdx's own counters: while
 * spinning, after a yield, after a park was begun. */
struct frame_waits {
    uint64_t host[3], guest[3];
};
int frame_host_waits(const struct frame_host *h, struct frame_waits *out);

/* New memory for frames of `bytes` on both sides, and the chunk of streams. Nobody has touched it
 * but for what frames are made in. */
int frame_host_prepare(struct frame_host *h, size_t bytes, size_t chunk,
                       struct frame_report *report);

/* Makes frame `sequence` and its digest, in the sender's memory or where it is read. *ns is the
 * generation alone. */
int frame_host_make(struct frame_host *h, uint64_t sequence, int in_place, enum frame_fault fault,
                    int64_t *ns);

/* Hands the frame over: written into the region and copied out of it, or read where it was made. */
int frame_host_copy(struct frame_host *h, struct frame_transfer *out);
int frame_host_read(struct frame_host *h, struct frame_transfer *out);

/* Hands it over as a stream: the receiver copies while the sender writes. `ring` bytes of the
 * region are used. The guest tells its part, receive_ns or, back, write_ns, later: stream_ns of any
 * phase that is its own. exchange_ns is what is left when the host has done its part. */
int frame_host_stream(struct frame_host *h, size_t ring, size_t chunk, struct frame_transfer *out);

/* One phase of the receiver on the frame that lies there, or of the guest. *roundtrip_ns is the
 * host's time. A read whose sum is not that of the frame is FRAME_STRANGE. */
int frame_host_phase(struct frame_host *h, enum frame_type type, struct frame_report *report,
                     int64_t *roundtrip_ns);

/* FRAME_VERIFY_COPY or FRAME_VERIFY_PLACE. *taken_up_ns is the host's time until it saw that the
 * guest had taken the request up; -1 if the answer was there by then, or the host verifies. */
int frame_host_verify(struct frame_host *h, enum frame_type type, struct frame_report *report,
                      int64_t *taken_up_ns);

/* What the guest counted in the latest phase COUNT; valid until the next call. */
const char *frame_host_text(const struct frame_host *h, size_t *bytes);

/* The same bytes once more by one memcpy, from where the frame was made to other memory of
 * the sender. */
int frame_host_memcpy(struct frame_host *h, int64_t *ns);

/* The host's part of a copy once more, with no clock: for whoever counts events meanwhile. It
 * writes the frame into the region, or copies it out. */
int frame_host_again(struct frame_host *h);

#endif
