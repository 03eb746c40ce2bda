/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that say whose they are, and answers that follow from them: ledger/message.go in C. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "../../../libdx/dx.h"
#include "content.h"
#include "soak.h"

#define ODD_LENGTH 0x9e3779b97f4a7c15ull

static size_t request_bytes(uint64_t number, size_t most)
{
    return SOAK_LEAST_BYTES + (size_t)((number * ODD_LENGTH >> 33) % (most - SOAK_LEAST_BYTES + 1));
}

static uint64_t word_at(const unsigned char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

/* The content follows from the life, too. */
static uint64_t seed(struct soak_sender s)
{
    return s.number ^ (uint64_t)s.life << 32;
}

size_t soak_fill(unsigned char *to, size_t most, struct soak_sender from)
{
    size_t bytes = request_bytes(from.number, most);
    uint64_t who = (uint64_t)from.life << 32 | from.caller;
    memcpy(to, &from.number, sizeof from.number);
    memcpy(to + sizeof from.number, &who, sizeof who);
    content_fill(to + SOAK_HEAD_BYTES, bytes - SOAK_HEAD_BYTES, from.caller, seed(from));
    return bytes;
}

/* To whose request is this the answer? */
static int sender_of(const unsigned char *answer, size_t bytes, size_t most, struct soak_sender *to)
{
    if (bytes < SOAK_LEAST_BYTES)
        return 0;
    uint64_t who = ~word_at(answer + sizeof who);
    *to = (struct soak_sender){
        .caller = (uint32_t)who, .life = (uint32_t)(who >> 32), .number = ~word_at(answer)};
    return bytes == request_bytes(to->number, most) &&
           content_is_answer(answer + SOAK_HEAD_BYTES, bytes - SOAK_HEAD_BYTES, to->caller,
                             seed(*to));
}

int soak_answer(unsigned char *data, size_t bytes, size_t most, struct soak_sender *from)
{
    content_answer(data, bytes);
    return sender_of(data, bytes, most, from);
}

enum soak_verdict soak_judge(const unsigned char *answer, size_t bytes, size_t most,
                             struct soak_sender asked)
{
    struct soak_sender got;
    if (!sender_of(answer, bytes, most, &got))
        return SOAK_BYTES;
    if (got.caller != asked.caller)
        return SOAK_OTHER;
    return got.number == asked.number && got.life == asked.life ? SOAK_RIGHT : SOAK_STALE;
}

/* What the handler needs. */
struct service {
    struct soak_header *ledger;
    struct soak_caller *callers;
    uint32_t count;
    uint32_t life;
    size_t most;
    unsigned char *buffer;
};

/* As ledger.Caller.Handle. */
static void note(struct soak_caller *caller, struct soak_sender from)
{
    struct soak_handled *h = &caller->by_life[from.life % SOAK_HOST_LIVES];
    if (from.life < h->life || from.number <= h->last) {
        h->repeated++;
        return;
    }
    h->life = from.life;
    h->last = from.number;
    h->count++;
}

static int32_t handle(void *user, const struct dx_request *request, struct dx_response *response)
{
    struct service *s = user;
    struct soak_sender from;
    memcpy(s->buffer, request->data, request->bytes);
    int good = soak_answer(s->buffer, request->bytes, s->most, &from) && from.caller < s->count;
    if (__atomic_load_n(&s->ledger->scribbling, __ATOMIC_RELAXED) == 0) {
        if (good)
            note(&s->callers[from.caller], from);
        else
            (void)__atomic_fetch_add(&s->ledger->bad_requests, 1, __ATOMIC_RELAXED);
    }
    memcpy(response->data, s->buffer, request->bytes);
    response->bytes = request->bytes;
    return (int32_t)s->life;
}

int soak_serve(struct dx_channel *channel, struct soak_header *ledger, uint32_t callers,
               uint32_t life, int through_restart)
{
    struct dx_serve_options options = {.flags = through_restart ? DX_SERVE_THROUGH_RESTART : 0};
    struct service s = {.ledger = ledger,
                        .callers = soak_callers(ledger),
                        .count = callers,
                        .life = life,
                        .most = dx_channel_request_capacity(channel)};
    s.buffer = malloc(s.most + 1);
    if (s.buffer == NULL)
        return DX_ERR_SYSTEM;
    dx_status status = dx_serve(channel, handle, &s, &options);
    free(s.buffer);
    return status;
}

size_t soak_heap_bytes(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    return mallinfo2().uordblks;
#else
    return 0;
#endif
}
