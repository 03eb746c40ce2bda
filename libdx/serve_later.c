/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_later.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "atomic.h"
#include "clock.h"
#include "error.h"
#include "fault.h"
#include "serve.h"
#include "slot.h"
#include "thread.h"

/* How long a wait for a caller's end sleeps before it looks by itself: at first, and at most. */
#define LOOK_NS 20000000ll
#define LOOK_MAX_NS 1000000000ll

struct dx_pending {
    uint64_t word; /* 0: none */
    bool noted;    /* the caller's word has changed, and the serving thread has seen it */
    void *copy;    /* of the request; NULL: it lies in the region */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t changed;
static struct dx_later *all;
static uint64_t last_id;
static bool watching; /* `changed` was made, and forks are watched */

/* In the child of a fork: the lock is nobody's. */
static void forked(void *user)
{
    (void)user;
    (void)pthread_mutex_init(&lock, NULL);
    watching = false;
}

static dx_status watch_forks(void)
{
    static struct dx_fork_watch forks = {.forked = forked};
    if (watching)
        return DX_OK;
    dx_status status = dx_fork_watch(&forks);
    if (status == DX_OK) {
        dx_thread_cond_init(&changed);
        watching = true;
    }
    return status;
}

dx_status dx_later_begin(struct dx_channel *c)
{
    if (c->later != NULL)
        return DX_OK;
    enum dx_side callers = dx_other(c->side);
    uint32_t count = dx_slot_count(&c->geometry, callers);
    struct dx_later *l = calloc(1, sizeof *l);
    if (l != NULL)
        l->slots = calloc(count, sizeof *l->slots);
    if (l == NULL || l->slots == NULL) {
        free(l);
        return dx_fail(DX_ERR_SYSTEM, "no memory to serve %u slots", count);
    }
    l->channel = c;
    l->base = dx_first_slot(&c->geometry, callers);
    l->count = count;
    (void)pthread_mutex_lock(&lock);
    dx_status status = watch_forks();
    if (status == DX_OK) {
        l->id = ++last_id;
        l->next = all;
        all = l;
        c->later = l;
    }
    (void)pthread_mutex_unlock(&lock);
    if (status != DX_OK) {
        free(l->slots);
        free(l);
    }
    return status;
}

static void publish(struct dx_later *l, uint32_t slot, uint64_t word, uint32_t state)
{
    dx_server_publish(&l->channel->server_lines[slot],
                      dx_word(dx_word_epoch(word), state, dx_word_sequence(word)));
}

/* Rings the slot's caller if it sleeps, and wants to be rung for this. */
static void ring(struct dx_later *l, uint32_t slot, bool taken_up)
{
    struct dx_channel *c = l->channel;
    /* S3 <-> S4: the word before the look. */
    dx_fence_store_load();
    /* A7 <- R7: the cell was armed before we were sent there. Its number is input. */
    uint32_t parked = dx_load_acquire(&c->caller_lines[slot].parked);
    uint32_t cell = (parked & ~DX_PARKED_PROGRESS) - 1;
    if (cell < c->geometry.cells && (!taken_up || (parked & DX_PARKED_PROGRESS) != 0))
        (void)dx_channel_ring(c, cell);
}

/* Ends a pending request; the lock is held. A caller that has a new life is greeted here if the
 * serving thread has left that to us. */
static void answer(struct dx_later *l, uint32_t slot, enum dx_result result, size_t bytes,
                   int32_t status)
{
    struct dx_pending *p = &l->slots[slot - l->base];
    struct dx_server_line *line = &l->channel->server_lines[slot];
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&line->response_bytes, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes);
    dx_store_relaxed(&line->status, status);
    dx_store_relaxed(&line->result, (uint32_t)result);
    DX_FAULT(RESPONSE_WRITTEN);
    publish(l, slot, p->word, DX_SERVER_ACKNOWLEDGED);
    DX_FAULT(ANSWER_PUBLISHED);
    uint64_t now = dx_server_observe(&l->channel->caller_lines[slot]);
    if (p->noted && dx_word_epoch(now) != dx_word_epoch(p->word))
        publish(l, slot, now, DX_SERVER_READY);
    free(p->copy);
    *p = (struct dx_pending){.word = 0};
    /* R16 -> A16: the words before the serving thread writes the next one. */
    (void)dx_add_acqrel(&l->pending, UINT32_MAX);
    /* Relaxed: a number. */
    (void)dx_add_relaxed(result == DX_RESULT_OK ? &l->calls : &l->errors, 1u);
    ring(l, slot, false);
}

/* Takes the channel out of the list; the lock is held. */
static void forget(struct dx_later *l)
{
    struct dx_later **at = &all;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

void dx_later_end(struct dx_channel *c)
{
    struct dx_later *l = c->later;
    if (l == NULL)
        return;
    bool inert = dx_channel_forked(c);
    (void)pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->slots[i].word != 0 && !inert)
            answer(l, l->base + i, DX_RESULT_LOST, 0, 0);
        free(l->slots[i].copy);
    }
    forget(l);
    c->later = NULL;
    if (watching)
        (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    free(l->slots);
    free(l);
}

void dx_later_release(struct dx_channel *c)
{
    if (c->later != NULL && !c->later->used)
        dx_later_end(c);
}

uint64_t dx_later_word(struct dx_later *l, uint32_t slot)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t word = l->slots[slot - l->base].word;
    (void)pthread_mutex_unlock(&lock);
    return word;
}

bool dx_later_note(struct dx_later *l, uint32_t slot, uint64_t word)
{
    (void)pthread_mutex_lock(&lock);
    struct dx_pending *p = &l->slots[slot - l->base];
    bool pending = p->word != 0;
    if (pending && word != p->word) {
        p->noted = true;
        (void)pthread_cond_broadcast(&changed);
    }
    (void)pthread_mutex_unlock(&lock);
    return pending;
}

void dx_later_wake(void)
{
    (void)pthread_mutex_lock(&lock);
    if (watching)
        (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
}

void dx_later_count(struct dx_later *l, struct dx_counters *counters)
{
    /* Relaxed, all: numbers that stand for themselves. */
    if (dx_load_relaxed(&l->calls) == 0 && dx_load_relaxed(&l->errors) == 0)
        return;
    dx_count(&counters->calls, dx_exchange_relaxed(&l->calls, 0u));
    dx_count(&counters->errors, dx_exchange_relaxed(&l->errors, 0u));
    dx_count(&counters->response_bytes, dx_exchange_relaxed(&l->response_bytes, 0u));
}

/* Makes a request pending. */
static struct dx_token take(struct dx_later *l, uint32_t slot, uint64_t word, void *copy)
{
    (void)pthread_mutex_lock(&lock);
    l->used = true;
    l->slots[slot - l->base] = (struct dx_pending){.word = word, .copy = copy};
    (void)dx_add_relaxed(&l->pending, 1u); /* relaxed: the lock orders it */
    (void)pthread_mutex_unlock(&lock);
    publish(l, slot, word, DX_SERVER_PROCESSING);
    DX_FAULT(LATER_TAKEN_UP);
    ring(l, slot, true);
    return (struct dx_token){.reserved = {l->id, word, slot}};
}

dx_status dx_answer_later(const struct dx_request *request, struct dx_token *token)
{
    assert(request != NULL && token != NULL);
    const struct dx_entered *entered = dx_entered_of(request);
    struct dx_server *s = entered->server;
    if (s->kept)
        return dx_fail(DX_ERR_INVALID, "dx_answer_later was called for this request before");
    void *copy = NULL;
    if (s->copy != NULL) {
        size_t room = s->channel->geometry.request_capacity;
        void *next = malloc(room != 0 ? room : 1);
        if (next == NULL)
            return dx_fail(DX_ERR_SYSTEM, "no memory to keep a request of %zu bytes",
                           request->bytes);
        copy = s->copy;
        s->copy = next;
    }
    s->kept = true;
    *token = take(s->later, request->slot, entered->word, copy);
    return DX_OK;
}

/* What a token names; the lock is held. *out is NULL if that is no pending request. */
static dx_status find(const struct dx_token *token, struct dx_later **out)
{
    uint64_t slot = token->reserved[2];
    struct dx_later *l = all;
    while (l != NULL && l->id != token->reserved[0])
        l = l->next;
    *out = NULL;
    if (l == NULL)
        return dx_fail(DX_ERR_STOPPED, "the channel of this token was closed");
    if (dx_channel_forked(l->channel))
        return dx_channel_stopped(l->channel);
    if (slot < l->base || slot - l->base >= l->count || token->reserved[1] == 0 ||
        l->slots[slot - l->base].word != token->reserved[1])
        return dx_fail(DX_ERR_INVALID, "this token was answered before");
    *out = l;
    return DX_OK;
}

/* Has the caller given up? Its word says so, also of a life that has ended. */
static dx_status look_at_caller(const struct dx_later *l, const struct dx_token *token)
{
    uint64_t word = dx_server_observe(&l->channel->caller_lines[token->reserved[2]]);
    if (word == token->reserved[1])
        return DX_OK;
    return dx_word_epoch(word) == dx_word_epoch(token->reserved[1]) ? DX_ERR_CANCELLED
                                                                    : DX_ERR_PEER_DEAD;
}

/* The lock is held. */
static dx_status answer_token(const struct dx_token *token, size_t bytes, int32_t status)
{
    struct dx_later *l;
    dx_status found = find(token, &l);
    if (l == NULL)
        return found;
    size_t capacity = l->channel->geometry.response_capacity;
    uint32_t slot = (uint32_t)token->reserved[2];
    if (bytes > capacity) {
        answer(l, slot, DX_RESULT_TOO_LARGE, bytes, status);
        return dx_fail(DX_ERR_RESPONSE_TOO_LARGE, "a response of %zu bytes: there is room for %zu",
                       bytes, capacity);
    }
    (void)dx_add_relaxed(&l->response_bytes, bytes); /* relaxed: a number */
    dx_status caller = look_at_caller(l, token);
    answer(l, slot, DX_RESULT_OK, bytes, status);
    return dx_fail_plain(caller);
}

dx_status dx_answer(const struct dx_token *token, size_t bytes, int32_t status)
{
    assert(token != NULL);
    (void)pthread_mutex_lock(&lock);
    dx_status answered = answer_token(token, bytes, status);
    (void)pthread_mutex_unlock(&lock);
    return answered;
}

/* The lock is held. */
static dx_status check(const struct dx_token *token)
{
    struct dx_later *l;
    dx_status status = find(token, &l);
    if (l == NULL)
        return status;
    status = look_at_caller(l, token);
    return dx_fail_plain(status == DX_OK ? dx_channel_check(l->channel) : status);
}

dx_status dx_token_check(const struct dx_token *token)
{
    assert(token != NULL);
    (void)pthread_mutex_lock(&lock);
    dx_status status = check(token);
    (void)pthread_mutex_unlock(&lock);
    return status;
}

/* For a thread that is cancelled while it waits, which has the lock again then. */
static void leave(void *user)
{
    (void)user;
    (void)pthread_mutex_unlock(&lock);
}

/* The lock is held. */
static dx_status await_end(const struct dx_token *token, int64_t timeout_ns)
{
    int64_t deadline = dx_clock_deadline(dx_clock_ns(), timeout_ns);
    dx_status status;
    for (int64_t look_ns = LOOK_NS; (status = check(token)) == DX_OK;
         look_ns = 2 * look_ns < LOOK_MAX_NS ? 2 * look_ns : LOOK_MAX_NS) {
        int64_t now = dx_clock_ns();
        if (now >= deadline)
            return dx_fail_plain(DX_ERR_TIMEOUT);
        struct timespec until =
            dx_clock_timespec(deadline - now < look_ns ? deadline : now + look_ns);
        (void)pthread_cond_timedwait(&changed, &lock, &until);
    }
    return status;
}

dx_status dx_token_wait(const struct dx_token *token, int64_t timeout_ns)
{
    dx_status status;
    assert(token != NULL);
    (void)pthread_mutex_lock(&lock);
    pthread_cleanup_push(leave, NULL);
    status = await_end(token, timeout_ns);
    pthread_cleanup_pop(1);
    return status;
}
