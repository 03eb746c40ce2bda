/* SPDX-License-Identifier: Apache-2.0 */
/* The host: makes frames, writes them into its slot and has the guest do one phase after the other.
 * One thread at a time may use a host. */
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

/* What goes wrong on purpose, so that verification can be seen to find it. */
enum frame_fault {
    FRAME_FAULT_NONE = 0,
    FRAME_FAULT_FLIP = 1,       /* one bit of the frame changes in the region */
    FRAME_FAULT_SKIP_WRITE = 2, /* the host does not write the frame */
    FRAME_FAULT_SKIP_COPY = 3,  /* the guest does not copy it */
};

/* The times of one transfer, by the host's clock but for guest_ns. */
struct frame_transfer {
    int64_t write_ns;    /* host's memory to region; 0 if there is no such step */
    int64_t exchange_ns; /* from the announcement to the acknowledgement */
    int64_t total_ns;    /* from the first byte written to the acknowledgement */
    int64_t guest_ns;    /* the guest's copy, or read in place */
};

/* Creates a region with room for that many bytes of frame, or of a stream's ring. */
int frame_host_create(const char *url, size_t room, const struct dx_wait *wait, int64_t timeout_ns,
                      struct frame_host **out);
void frame_host_stop(struct frame_host *h); /* any thread: ends calls in flight */
int frame_host_close(struct frame_host *h);
int frame_host_fd(const struct frame_host *h);
uint64_t frame_host_region_bytes(const struct frame_host *h);

/* New memory for frames of `bytes` on both sides, and the chunk of streams. Nobody has touched it
 * but for what frames are made in. */
int frame_host_prepare(struct frame_host *h, size_t bytes, size_t chunk,
                       struct frame_report *report);

/* Makes frame `sequence` and its digest, in the host's memory or where it is read. *ns is the
 * generation alone. */
int frame_host_make(struct frame_host *h, uint64_t sequence, int in_place, enum frame_fault fault,
                    int64_t *ns);

/* Hands the frame over: written into the region and copied out of it, or read where it was made. */
int frame_host_copy(struct frame_host *h, struct frame_transfer *out);
int frame_host_read(struct frame_host *h, struct frame_transfer *out);

/* Hands it over as a stream: the guest copies while the host writes. `ring` bytes of the region are
 * used. guest_ns is not set: the guest tells it when it verifies. */
int frame_host_stream(struct frame_host *h, size_t ring, size_t chunk, struct frame_transfer *out);

/* One phase of the guest on the frame that lies there. *roundtrip_ns is the host's time. A read
 * whose sum is not that of the frame is FRAME_STRANGE. */
int frame_host_phase(struct frame_host *h, enum frame_type type, struct frame_report *report,
                     int64_t *roundtrip_ns);

/* What the guest counted in the latest phase COUNT; valid until the next call. */
const char *frame_host_text(const struct frame_host *h, size_t *bytes);

/* The same bytes once more by one memcpy, from where the frame was made to other memory of
 * the host. */
int64_t frame_host_memcpy(struct frame_host *h);

/* Writes the frame into the region once more, with no clock: for whoever counts events meanwhile.
 */
void frame_host_write_again(struct frame_host *h);

#endif
