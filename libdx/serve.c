/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <string.h>

#include "atomic.h"
#include "dx_native.h"
#include "fault.h"
#include "slot.h"

/* Slots that are looked at between two looks at the one that called last. */
#define RECENT_EVERY 8u

/* With the epoch, as sequences begin anew in every life of the caller. */
static uint64_t journal_entry(uint32_t slot, uint64_t word)
{
    return (uint64_t)(dx_word_epoch(word) & DX_JOURNAL_EPOCH_MASK) << DX_JOURNAL_EPOCH_SHIFT |
           (uint64_t)(slot + 1) << DX_JOURNAL_SLOT_SHIFT | dx_word_sequence(word);
}

/* Did an earlier server of this side begin this request? */
static bool was_begun(const struct dx_channel *c, uint32_t slot, uint64_t word)
{
    for (uint32_t w = 0; w < DX_SERVE_THREADS_MAX; w++) {
        /* A6 <- R6: whoever ran the handler had said so before. */
        if (dx_load_acquire(&dx_channel_worker(c, c->side, w)->serving) ==
            journal_entry(slot, word))
            return true;
    }
    return false;
}

/* Publishes an answer and remembers its caller. */
static void publish(struct dx_server *s, uint32_t slot, uint64_t word, uint32_t state)
{
    dx_server_publish(&s->channel->server_lines[slot],
                      dx_word(dx_word_epoch(word), state, dx_word_sequence(word)));
    DX_FAULT(ANSWER_PUBLISHED);
    s->answered[s->answered_count++] = slot;
}

/* Rings those callers of the batch who sleep. */
void dx_server_ring_answered(struct dx_server *s)
{
    /* S3 <-> S4: the answers before the looks. */
    dx_fence_store_load();
    DX_FAULT(ANSWERS_FENCED);
    for (uint32_t i = 0; i < s->answered_count; i++) {
        /* A7 <- R7: the cell was armed before we were sent there. Its number is input. */
        uint32_t parked = dx_load_acquire(&s->channel->caller_lines[s->answered[i]].parked);
        uint32_t cell = (parked & ~DX_PARKED_PROGRESS) - 1;
        if (dx_unlikely(cell < s->channel->geometry.cells) && dx_channel_ring(s->channel, cell))
            dx_count(&s->waiter.counters->rings, 1u);
    }
    DX_FAULT(ANSWERS_RUNG);
    s->answered_count = 0;
}

static void publish_result(struct dx_server *s, uint32_t slot, uint64_t word, enum dx_result result,
                           size_t bytes, int32_t status)
{
    struct dx_server_line *line = &s->channel->server_lines[slot];
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&line->response_bytes, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes);
    dx_store_relaxed(&line->status, status);
    dx_store_relaxed(&line->result, (uint32_t)result);
    DX_FAULT(RESPONSE_WRITTEN);
    publish(s, slot, word, DX_SERVER_ACKNOWLEDGED);
}

void dx_server_answer(struct dx_server *s, uint32_t slot, uint64_t word, enum dx_result result,
                      int32_t status)
{
    publish_result(s, slot, word, result, 0, status);
}

void dx_server_journal(struct dx_server *s, uint32_t slot, uint64_t word)
{
    /* R6 -> A6: said before the handler can have any effect. */
    dx_store_release(&s->worker->serving, journal_entry(slot, word));
    DX_FAULT(JOURNAL_WRITTEN);
}

static void refuse(struct dx_server *s, uint32_t slot, uint64_t word, enum dx_result result)
{
    dx_count(&s->waiter.counters->errors, 1u);
    publish_result(s, slot, word, result, 0, 0);
}

/* Answers a request whose handler says that it filled more than there is. */
static void answer_too_large(struct dx_server *s, uint32_t slot, uint64_t word, size_t bytes,
                             int32_t status)
{
    dx_count(&s->waiter.counters->errors, 1u);
    if (bytes == DX_NATIVE_LEFT && (s->flags & DX_NATIVE_LEAVES) != 0) {
        publish_result(s, slot, word, DX_RESULT_LOST, 0, 0);
        dx_server_end_all(s);
        return;
    }
    publish_result(s, slot, word, DX_RESULT_TOO_LARGE, bytes, status);
}

/* While handlers are measured: notes when this one begins. */
static __attribute__((noinline)) void measure_handler(struct dx_server *s, uint64_t control)
{
    struct dx_channel *c = s->channel;
    uint32_t number = dx_histogram_of_handler(&c->geometry, 0, (uint32_t)(s->worker - c->workers));
    s->measured = dx_recorder_due(&s->handlers, c, control, number);
    if (s->measured)
        s->began = dx_ticks(s->handlers.scale);
}

/* Runs the handler for one request. Length and type are input, each read once. */
static void serve_request(struct dx_server *s, uint32_t slot, uint64_t word)
{
    struct dx_channel *c = s->channel;
    const struct dx_caller_line *line = &c->caller_lines[slot];
    /* Relaxed: the acquire of the caller's word ordered them. */
    struct dx_entered entered = {.request = {.data = dx_request_at(c, slot),
                                             .bytes = dx_load_relaxed(&line->request_bytes),
                                             .type = dx_load_relaxed(&line->type),
                                             .slot = slot},
                                 .server = s,
                                 .word = word};
    struct dx_request *request = &entered.request;
    struct dx_response response = {.data = dx_response_at(c, slot),
                                   .capacity = c->geometry.response_capacity};
    if (request->bytes > c->geometry.request_capacity) {
        refuse(s, slot, word, DX_RESULT_REQUEST_TOO_LARGE);
        return;
    }
    int32_t status = 0;
    if (dx_likely(request->type - DX_TYPE_USER <= DX_TYPE_MAX - DX_TYPE_USER)) {
        if (s->copy != NULL)
            request->data = memcpy(s->copy, request->data, request->bytes);
        DX_FAULT(REQUEST_READ);
        dx_server_journal(s, slot, word);
        s->kept = false;
        uint64_t control = dx_histogram_control(c);
        if (dx_unlikely(dx_histogram_is_on(control)) && !dx_recorder_skips(&s->handlers, control))
            measure_handler(s, control);
        status = s->handler(s->user, request, &response);
        if (dx_unlikely(s->kept)) {
            dx_count(&s->waiter.counters->request_bytes, request->bytes);
            return;
        }
    } else if (request->type != DX_TYPE_PING) {
        if (s->streaming != NULL &&
            s->streaming->begin(s, slot, word, request->type, request->bytes))
            return;
        refuse(s, slot, word, DX_RESULT_TYPE);
        return;
    }
    if (dx_unlikely(response.bytes > c->geometry.response_capacity)) {
        answer_too_large(s, slot, word, response.bytes, status);
        return;
    }
    publish_result(s, slot, word, DX_RESULT_OK, response.bytes, status);
    struct dx_counters *counters = s->waiter.counters;
    dx_count(&counters->calls, 1u);
    dx_count(&counters->request_bytes, request->bytes);
    dx_count(&counters->response_bytes, response.bytes);
}

/* Takes up a caller's word that is new to us. */
static void take_up(struct dx_server *s, uint32_t slot, uint64_t word)
{
    uint64_t before = s->seen[slot - s->base];
    s->seen[slot - s->base] = word;
    DX_FAULT(WORD_TAKEN_UP);
    /* What it says is looked at by the stream, and by us when that has ended. */
    if (dx_unlikely(s->active != NULL) && s->streaming->goes_on(s, slot))
        return;
    if (dx_unlikely(dx_later_any(s->later)) && dx_later_note(s->later, slot, word))
        return;
    switch (dx_word_state(word)) {
    case DX_CALLER_SENDING:
        s->measured = false;
        serve_request(s, slot, word);
        if (dx_unlikely(s->measured)) /* the caller has its answer, and does not wait for this */
            dx_recorder_end(&s->handlers, s->began);
        break;
    case DX_CALLER_ABANDONED:
        DX_FAULT(ABANDON_SEEN);
        /* Given up after we answered it: nothing to say. */
        if (before != dx_word(dx_word_epoch(word), DX_CALLER_SENDING, dx_word_sequence(word)))
            refuse(s, slot, word, DX_RESULT_CANCELLED);
        break;
    case DX_CALLER_READY:
    case DX_CALLER_COMPLETED:
        /* A new life greets; the answer tells it that we have let go of the old one. */
        if (dx_word_epoch(before) != dx_word_epoch(word)) {
            publish(s, slot, word, DX_SERVER_READY);
            DX_FAULT(CALLER_GREETED);
        }
        break;
    default:
        break;
    }
}

/* How many slots of the calling side are in use; input. */
static uint32_t slots_used(const struct dx_server *s)
{
    /* A5 <- R5: the first words of these slots. */
    uint32_t used = dx_load_acquire(&s->channel->peers[dx_other(s->channel->side)].slots_used);
    return s->base + (used < s->count ? used : s->count);
}

/* Looks at one of our slots; true if anything was new. */
static inline bool serve_slot(struct dx_server *s, uint32_t slot)
{
    uint64_t word = dx_server_observe(&s->channel->caller_lines[slot]);
    if (word == s->seen[slot - s->base])
        return false;
    s->recent = slot;
    take_up(s, slot, word);
    if (s->answered_count == DX_BATCH)
        dx_server_ring_answered(s);
    return true;
}

/* One round over our slots; true if anything was new. */
static bool serve_round(struct dx_server *s)
{
    uint32_t end = slots_used(s);
    bool any = false;
    uint32_t looked = 0;
    for (uint32_t slot = s->first; slot < end; slot += s->stride) {
        any |= serve_slot(s, slot);
        /* Of many callers one calls at a time, often the one that called last. */
        if (dx_unlikely(++looked % RECENT_EVERY == 0))
            any |= serve_slot(s, s->recent);
    }
    if (dx_unlikely(s->active != NULL))
        any |= s->streaming->round(s);
    if (s->answered_count != 0)
        dx_server_ring_answered(s);
    return any;
}

bool dx_server_ended(const struct dx_server *s)
{
    /* A11 <- R11: whoever ended rings us after it has said so. */
    return dx_load_acquire(&s->pool->ended) != 0;
}

bool dx_server_look(void *user)
{
    const struct dx_server *s = user;
    if (dx_server_ended(s))
        return true;
    uint32_t end = slots_used(s);
    for (uint32_t slot = s->first; slot < end; slot += s->stride) {
        if (dx_server_observe(&s->channel->caller_lines[slot]) != s->seen[slot - s->base])
            return true;
    }
    return s->active != NULL && s->streaming->look(s);
}

dx_status dx_server_check(void *user)
{
    const struct dx_server *s = user;
    dx_later_count(s->later, s->waiter.counters);
    return dx_channel_check_server(s->channel, (s->flags & DX_SERVE_THROUGH_RESTART) != 0);
}

/* Waits for news: first looks inline, as they decide the latency; then the rest. */
static dx_status await_news(struct dx_server *s, int64_t timeout_ns)
{
    uint32_t looks = dx_waiter_first_looks(&s->waiter);
    for (uint32_t n = 1; n <= looks; n++) {
        dx_waiter_relax(&s->waiter);
        if (serve_round(s)) {
            dx_waiter_spun(&s->waiter, n);
            return DX_OK;
        }
    }
    struct dx_source source = dx_channel_source(s->channel, s->cell, s);
    source.look = dx_server_look;
    source.check = dx_server_check;
    source.cancels = true;
    return dx_wait_on(&s->waiter, &source, looks, timeout_ns);
}

void dx_server_end_all(struct dx_server *s)
{
    struct dx_channel *c = s->channel;
    /* R11 -> A11: before the ring; S1 <-> S2 as for a caller's word. */
    dx_store_seqcst(&s->pool->ended, 1u);
    for (uint32_t w = 0; w < s->pool->threads; w++)
        (void)dx_channel_ring(c, dx_cell_of_worker(c->geometry.slots, c->side, w));
}

dx_status dx_server_step(struct dx_server *s, int64_t timeout_ns)
{
    /* Relaxed: dx_stop rings us after it has stored. */
    if (dx_load_relaxed(&s->channel->stopping) != 0)
        return dx_channel_stopped(s->channel);
    if (serve_round(s))
        return DX_OK;
    return timeout_ns != 0 ? await_news(s, timeout_ns) : DX_ERR_TIMEOUT;
}

dx_status dx_server_run(struct dx_server *s)
{
    dx_status status = DX_OK;
    while (status == DX_OK && !dx_server_ended(s))
        status = dx_server_step(s, DX_FOREVER);
    dx_server_finish(s, status);
    return status;
}

void dx_server_finish(struct dx_server *s, dx_status status)
{
    if (status != DX_OK)
        dx_server_end_all(s);
    if (s->active != NULL)
        s->streaming->end(s, status != DX_OK ? status : DX_ERR_STOPPED);
    dx_later_count(s->later, s->waiter.counters);
    dx_later_wake();
    s->returned = true;
}

void dx_server_begin(struct dx_server *s)
{
    struct dx_channel *c = s->channel;
    for (uint32_t slot = s->first; slot < s->base + s->count; slot += s->stride) {
        struct dx_server_line *line = &c->server_lines[slot];
        uint64_t kept = s->later != NULL ? dx_later_word(s->later, slot) : 0;
        uint64_t word = kept != 0 ? kept : dx_server_observe(&c->caller_lines[slot]);
        /* Relaxed: written by ourselves or by an earlier life of our side, whose lock we have. */
        uint64_t ours = dx_load_relaxed(&line->word);
        uint32_t state = dx_word_state(word);
        bool pending = state == DX_CALLER_SENDING || state == DX_CALLER_ABANDONED;
        bool known = dx_word_epoch(ours) == dx_word_epoch(word);
        bool done = known && dx_word_sequence(ours) == dx_word_sequence(word) &&
                    dx_word_state(ours) == DX_SERVER_ACKNOWLEDGED;
        s->seen[slot - s->base] = kept != 0 || (known && (done || !pending)) ? word : 0;
        /* An earlier server died in its handler: never run it twice. Of a stream its word says so,
         * as many of them may have been going on. */
        bool streamed = dx_word_state(ours) == DX_SERVER_PROCESSING &&
                        dx_word_sequence(ours) == dx_word_sequence(word);
        if (kept == 0 && known && pending && !done && (streamed || was_begun(c, slot, word))) {
            s->seen[slot - s->base] = word;
            refuse(s, slot, word, DX_RESULT_LOST);
            DX_FAULT(TAKEOVER_LOST);
        }
        /* Relaxed: a caller that misses it is found by the round that follows the fence. */
        dx_store_relaxed(&line->cell, s->cell + 1);
        DX_FAULT(TAKEOVER_HALF);
        if (s->answered_count == DX_BATCH)
            dx_server_ring_answered(s);
    }
    /* S2 <-> S1: whom to ring, before the first round looks at every slot. */
    dx_server_ring_answered(s);
    DX_FAULT(TAKEOVER_DONE);
}

void dx_server_end(struct dx_server *s)
{
    for (uint32_t slot = s->first; slot < s->base + s->count; slot += s->stride) {
        /* Relaxed: a caller that still sees it rings a cell in which nobody sleeps. */
        dx_store_relaxed(&s->channel->server_lines[slot].cell, 0u);
    }
    DX_FAULT(SERVING_ENDED);
}

/* The request that this server has begun on a slot and not answered; 0: none. */
static uint64_t unanswered(struct dx_server *s, uint32_t slot)
{
    uint64_t word = s->seen[slot - s->base];
    if (s->streams != NULL && s->streams[slot - s->base].open) {
        s->streams[slot - s->base].open = false;
        word = s->streams[slot - s->base].word;
    }
    if (s->later != NULL && dx_later_word(s->later, slot) == word)
        return 0;
    /* Relaxed: written by this server, or by one whose lock we have had since. */
    uint64_t ours = dx_load_relaxed(&s->channel->server_lines[slot].word);
    bool answered = dx_word_state(ours) == DX_SERVER_ACKNOWLEDGED &&
                    dx_word_epoch(ours) == dx_word_epoch(word) &&
                    dx_word_sequence(ours) == dx_word_sequence(word);
    return dx_word_state(word) == DX_CALLER_SENDING && !answered ? word : 0;
}

void dx_server_leave(struct dx_server *s)
{
    s->active = NULL;
    for (uint32_t slot = s->first; slot < s->base + s->count; slot += s->stride) {
        if (s->answered_count == DX_BATCH)
            dx_server_ring_answered(s);
        uint64_t word = unanswered(s, slot);
        if (word != 0)
            refuse(s, slot, word, DX_RESULT_LOST);
    }
    dx_server_ring_answered(s);
    dx_server_end_all(s);
}
