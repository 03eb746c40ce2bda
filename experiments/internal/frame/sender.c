/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include "digest.h"
#include "memory.h"

void sender_close(struct sender *s)
{
    memory_unmap(s->source, s->bytes);
    memory_unmap(s->spare, s->bytes);
    *s = (struct sender){0};
}

bool sender_prepare(struct sender *s, size_t bytes)
{
    sender_close(s);
    s->source = memory_map(bytes);
    s->spare = memory_map(bytes);
    s->bytes = bytes;
    if (s->source == NULL || s->spare == NULL) {
        sender_close(s);
        return false;
    }
    memory_write(s->source, bytes, 1); /* pages that nobody wrote are one page of zeros */
    return true;
}

bool sender_make(struct sender *s, struct digest *d, uint64_t sequence, enum frame_fault fault,
                 unsigned char *place, int64_t *ns, unsigned char digest[FRAME_DIGEST_BYTES])
{
    unsigned char *to = place != NULL ? place : s->source;
    int64_t start = memory_now_ns();
    s->sum = memory_generate(to, s->bytes, sequence);
    *ns = memory_now_ns() - start;
    s->sequence = sequence;
    s->fault = fault;
    s->frame = to;
    if (!digest_of(d, to, s->bytes, digest))
        return false;
    if (place != NULL && fault == FRAME_FAULT_FLIP)
        to[s->bytes / 2] ^= 1;
    /* In place there is no write and no copy to leave out: the frame of another number then. */
    if (place != NULL && fault > FRAME_FAULT_FLIP)
        (void)memory_generate(to, s->bytes, sequence - 1);
    return true;
}

int64_t sender_write(const struct sender *s, unsigned char *region)
{
    size_t bytes = s->fault == FRAME_FAULT_SKIP_WRITE ? 0 : s->bytes;
    int64_t start = memory_now_ns();
    memory_copy(region, s->source, bytes);
    int64_t took = memory_now_ns() - start;
    if (s->fault == FRAME_FAULT_FLIP)
        region[s->bytes / 2] ^= 1;
    return took;
}

void sender_spoil_stream(struct sender *s)
{
    if (s->fault == FRAME_FAULT_FLIP)
        s->source[s->bytes / 2] ^= 1;
    if (s->fault == FRAME_FAULT_SKIP_WRITE)
        (void)memory_generate(s->source, s->bytes, s->sequence - 1);
}

int64_t sender_memcpy(const struct sender *s)
{
    int64_t start = memory_now_ns();
    memory_copy(s->spare, s->frame, s->bytes);
    return memory_now_ns() - start;
}
