/* SPDX-License-Identifier: Apache-2.0 */
/* What host.c and host_back.c, the two directions, share. */
#ifndef DX_EXPERIMENT_FRAME_HOST_STATE_H
#define DX_EXPERIMENT_FRAME_HOST_STATE_H

#include <stdbool.h>

#include "../../../libdx/dx.h"
#include "host.h"
#include "receiver.h"
#include "sender.h"

struct frame_host {
    struct dx_channel *channel;
    struct dx_caller *caller; /* NULL if its slot could not be had again: see host_place() */
    struct digest *digest;
    int64_t timeout_ns;
    bool back;   /* frames go from guest to host */
    size_t room; /* for a frame in the region */
    struct frame_head head;
    uint64_t sum;             /* of the frame's words */
    struct sender sender;     /* of frames to the guest */
    struct receiver receiver; /* of frames from it */
    /* Behind the latest response, valid until the next call. */
    const unsigned char *arrived; /* a frame of the guest; NULL: none */
    size_t text_bytes;
    char text[FRAME_TEXT_BYTES];
};

/* Where the frame lies in the request, behind its head. The head is there in any case: messages
 * without a frame have one, too. NULL while the guest may still be reading an older one. Each frame
 * begins with it. */
unsigned char *host_place(struct frame_host *h);

/* Copies the head to where it belongs; false as host_place. */
bool host_put_head(struct frame_host *h);

/* One call about the frame, of which that many bytes go along; its head is in place. */
int host_call(struct frame_host *h, uint32_t type, size_t bytes, struct frame_report *report);

/* What a call was answered with. */
int host_answer(struct frame_host *h, const struct dx_reply *reply, struct frame_report *report);

/* The functions of host.h, for frames from guest to host. */
int back_make(struct frame_host *h, uint64_t sequence, bool in_place, enum frame_fault fault,
              int64_t *ns);
int back_copy(struct frame_host *h, struct frame_transfer *out);
int back_read(struct frame_host *h, struct frame_transfer *out);
int back_stream(struct frame_host *h, size_t ring, size_t chunk, struct frame_transfer *out);
int back_phase(struct frame_host *h, uint32_t type, struct frame_report *report);
int back_memcpy(struct frame_host *h, int64_t *ns);

#endif
