/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of a peer of crash tests: its handler, and one stream with a number of its own, judged.
 */
#ifndef DX_TEST_CRASH_STREAM_H
#define DX_TEST_CRASH_STREAM_H

#include "crash_stage.h"

/* As peer_handler, for a message of a stream. */
static inline dx_status peer_stream_message(struct stage *stage, struct peer_progress *at,
                                            struct dx_stream *s)
{
    uint64_t number = at->messages == 0 ? at->words[0] : at->number;
    if (at->got != sizeof at->words || number >= STAGE_CALLS ||
        !peer_is(at->words, number + (at->messages << 32))) {
        peer_complain(stage, "a damaged stream", number, (int)at->got);
        return DX_ERR_CORRUPT;
    }
    if (at->messages == 0 && atomic_fetch_add(&stage->runs[number], 1u) != 0)
        peer_complain(stage, "streamed more than once", number, 0);
    peer_fill(at->words, ~at->words[0]);
    at->number = number;
    at->messages++;
    at->got = 0;
    return dx_stream_write(s, at->words, sizeof at->words, NULL, PATIENCE);
}

/* On two slots of three it returns instead of waiting, so that streams of one thread go on at
 * once: of those that a dead server leaves behind its journal names but one. */
static inline int32_t peer_stream_handler(void *user, struct dx_stream *s)
{
    struct peer *p = user;
    struct peer_progress *at = &p->streams[dx_stream_slot(s)];
    bool waits = dx_stream_slot(s) % 3 == 2;
    if (dx_stream_user(s) == NULL) {
        *at = (struct peer_progress){0};
        dx_stream_set_user(s, at);
    }
    for (;;) {
        size_t bytes;
        dx_status status = dx_stream_read(s, (unsigned char *)at->words + at->got,
                                          sizeof at->words - at->got, &bytes, waits ? PATIENCE : 0);
        at->got += bytes;
        if (status == DX_ERR_TIMEOUT && !waits)
            return DX_STREAM_AGAIN(DX_STREAM_READABLE);
        if (status == DX_OK && at->got == 0)
            return (int32_t)at->number;
        if (status == DX_OK)
            status = peer_stream_message(p->stage, at, s);
        if (status != DX_OK)
            return (int32_t)status;
    }
}

/* Sends messages and has them back; true if they are the right ones. */
static inline dx_status peer_stream_messages(struct dx_stream *s, uint64_t number, bool *right,
                                             int64_t timeout_ns)
{
    dx_status status = DX_OK;
    for (uint64_t k = 0; k < PEER_MESSAGES && status == DX_OK; k++) {
        uint64_t words[PEER_WORDS];
        size_t bytes = 0;
        peer_fill(words, number + (k << 32));
        status = dx_stream_write(s, words, sizeof words, NULL, timeout_ns);
        if (status == DX_OK)
            status = dx_stream_read(s, words, sizeof words, &bytes, timeout_ns);
        *right = bytes == sizeof words && peer_is(words, ~(number + (k << 32)));
        if (status == DX_OK && !*right)
            return status;
    }
    return status;
}

/* One stream with a number of its own, judged. What fails is given up and not ended, which would
 * make it look complete. */
static inline dx_status peer_stream(struct stage *stage, struct dx_caller *caller,
                                    int64_t timeout_ns)
{
    uint64_t number = atomic_fetch_add(&stage->next, 1u) % STAGE_CALLS;
    struct dx_stream *s;
    bool right = true;
    int32_t answer = (int32_t)number;
    int64_t limit_ns = (2 * PEER_MESSAGES + 2) * timeout_ns + SLACK;
    int64_t start = dx_clock_ns();
    dx_status status = dx_stream_open(caller, TYPE_ECHO, NULL, timeout_ns, &s);
    if (status == DX_OK) {
        status = peer_stream_messages(s, number, &right, timeout_ns);
        if (status == DX_OK)
            status = dx_stream_end(s, &answer, timeout_ns);
        else
            dx_stream_cancel(s);
    }
    int64_t elapsed_ns = dx_clock_ns() - start;
    atomic_fetch_add(&stage->streamed[(uint32_t)-status % 32], 1u);
    if (elapsed_ns > limit_ns)
        peer_complain(stage, "a stream late by some ms", number,
                      (int)((elapsed_ns - limit_ns) / MS));
    if (status == DX_OK && (!right || answer != (int32_t)number))
        peer_complain(stage, "what is streamed is not what was sent back", number, answer);
    if (status != DX_OK && !peer_may_end(status))
        peer_complain(stage, "a stream ended otherwise", number, (int)status);
    return status;
}

#endif
