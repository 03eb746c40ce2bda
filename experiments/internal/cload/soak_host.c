/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../../libdx/dx.h"
#include "load.h"
#include "soak.h"

/* One call in so many has a deadline, so that some are given up when the other side is stopped. */
#define DEADLINE_EVERY 16u
#define DEADLINE_NS 50000000ll
#define OPEN_NS 1000000000ll
#define PAUSE_S 600
/* How long a caller leaves a side alone that has nobody on it. */
#define NOBODY_NS 200000ll

struct caller {
    struct soak_host *host;
    struct soak_caller *line;
    struct dx_caller *caller; /* NULL while it has no slot */
    uint32_t index;
    pthread_t thread;
    unsigned char *request;
    unsigned char *response;
};

struct soak_host {
    struct dx_channel *channel;
    struct soak_header *ledger;
    uint32_t count;
    uint32_t life;
    size_t most;
    atomic_int stop;
    atomic_int paused;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* paused, stop or arrived */
    uint32_t arrived;
    uint32_t started;
    struct caller *callers;
};

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void let_be(void)
{
    struct timespec wait = {.tv_nsec = NOBODY_NS};
    (void)nanosleep(&wait, NULL);
}

static int scribbling(const struct soak_host *host)
{
    return __atomic_load_n(&host->ledger->scribbling, __ATOMIC_RELAXED) != 0;
}

/* The time is written first, so that a reader who sees the news finds it. */
static void stamp(struct soak_caller *line, uint32_t mark, uint64_t lives)
{
    if (line->lives == lives && line->mark == mark)
        return;
    int64_t now = now_ns();
    if (line->lives != lives) {
        line->lives_ns = now;
        __atomic_store_n(&line->lives, lives, __ATOMIC_RELEASE);
    }
    if (line->mark != mark) {
        line->mark_ns = now;
        __atomic_store_n(&line->mark, mark, __ATOMIC_RELEASE);
    }
}

static void count_answer(struct soak_caller *line, enum soak_verdict verdict, uint64_t number,
                         const unsigned char *answer)
{
    if (verdict == SOAK_RIGHT) {
        line->verified++;
        return;
    }
    if (verdict == SOAK_STALE)
        line->wrong_stale++;
    else if (verdict == SOAK_OTHER)
        line->wrong_other++;
    else
        line->wrong_bytes++;
    uint64_t words[2];
    memcpy(words, answer, sizeof words);
    line->asked = number;
    line->got_first = ~words[0];
    line->got_next = ~words[1];
}

static void count_failure(struct caller *c, dx_status status, int *noticed)
{
    struct soak_caller *line = c->line;
    line->failed[-(int)status % SOAK_FAILED_KINDS]++;
    if (status != DX_ERR_PEER_DEAD && status != DX_ERR_PEER_CLOSED && status != DX_ERR_NO_PEER)
        return;
    if (!*noticed)
        line->notice_ns = now_ns();
    *noticed = 1;
    /* The slot goes back, so that all of them are handed round. */
    dx_caller_close(c->caller);
    c->caller = NULL;
    let_be();
}

/* One call, judged and counted; true if its answer was right. */
static int call_once(struct caller *c, int *noticed)
{
    struct soak_host *host = c->host;
    struct soak_caller *line = c->line;
    uint32_t mark = __atomic_load_n(&host->ledger->mark, __ATOMIC_ACQUIRE);
    int forged = scribbling(host);
    struct soak_sender self = {.caller = c->index, .life = host->life, .number = line->issued + 1};
    int32_t guest = 0;
    size_t got = host->most;
    __atomic_store_n(&line->issued, self.number, __ATOMIC_RELAXED);
    size_t bytes = soak_fill(c->request, host->most, self);
    dx_status status =
        dx_call(c->caller, LOAD_TYPE_VERIFY, c->request, bytes, c->response, &got, &guest,
                self.number % DEADLINE_EVERY == 0 ? DEADLINE_NS : DX_FOREVER);
    forged |= scribbling(host);
    if (status != DX_OK && forged) {
        line->forged_error++;
        let_be();
        return 0;
    }
    if (status != DX_OK) {
        count_failure(c, status, noticed);
        return 0;
    }
    enum soak_verdict verdict = soak_judge(c->response, got, host->most, self);
    if (forged) {
        line->forged_right += verdict == SOAK_RIGHT;
        line->forged_wrong += verdict != SOAK_RIGHT;
        return verdict == SOAK_RIGHT;
    }
    count_answer(line, verdict, self.number, c->response);
    if (verdict == SOAK_RIGHT) {
        *noticed = 0;
        stamp(line, mark, (uint64_t)host->life << 32 | (uint32_t)guest);
    }
    return verdict == SOAK_RIGHT;
}

/* Gives the slot back and waits; the slot of afterwards is chosen by soak_host_slots. */
static void pause_here(struct caller *c)
{
    struct soak_host *host = c->host;
    dx_caller_close(c->caller);
    c->caller = NULL;
    (void)pthread_mutex_lock(&host->lock);
    host->arrived++;
    (void)pthread_cond_broadcast(&host->changed);
    while (atomic_load(&host->paused) != 0 && atomic_load(&host->stop) == 0)
        (void)pthread_cond_wait(&host->changed, &host->lock);
    host->arrived--;
    (void)pthread_cond_broadcast(&host->changed);
    (void)pthread_mutex_unlock(&host->lock);
}

static void *run(void *user)
{
    struct caller *c = user;
    struct soak_host *host = c->host;
    int noticed = 0;
    while (atomic_load_explicit(&host->stop, memory_order_relaxed) == 0) {
        if (atomic_load_explicit(&host->paused, memory_order_relaxed) != 0)
            pause_here(c);
        else if (c->caller == NULL && dx_caller_open(host->channel, OPEN_NS, &c->caller) != DX_OK)
            continue;
        else
            (void)call_once(c, &noticed);
    }
    return NULL;
}

/* True if so many callers stand in the pause in time. */
static int set_paused(struct soak_host *host, int paused, uint32_t awaited)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += PAUSE_S;
    (void)pthread_mutex_lock(&host->lock);
    atomic_store(&host->paused, paused);
    (void)pthread_cond_broadcast(&host->changed);
    int waited = 0;
    while (host->arrived != awaited && waited == 0)
        waited = pthread_cond_timedwait(&host->changed, &host->lock, &end);
    int there = host->arrived == awaited;
    (void)pthread_mutex_unlock(&host->lock);
    return there;
}

uint32_t soak_host_slots(struct soak_host *host)
{
    uint32_t right = 0;
    int noticed = 0;
    /* One that has not arrived still uses its own. */
    if (set_paused(host, 1, host->count)) {
        for (uint32_t i = 0; i < host->count; i++)
            if (dx_caller_open(host->channel, OPEN_NS, &host->callers[i].caller) != DX_OK)
                host->callers[i].caller = NULL;
        for (uint32_t i = 0; i < host->count; i++)
            if (host->callers[i].caller != NULL)
                right += (uint32_t)call_once(&host->callers[i], &noticed);
    }
    (void)set_paused(host, 0, 0);
    return right;
}

static void start_threads(struct soak_host *host, int *status)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; host->started < host->count && *status == DX_OK; host->started++) {
        struct caller *c = &host->callers[host->started];
        *c = (struct caller){.host = host,
                             .line = soak_callers(host->ledger) + host->started,
                             .index = host->started,
                             .request = calloc(1, host->most),
                             .response = calloc(1, host->most)};
        if (c->request == NULL || c->response == NULL ||
            pthread_create(&c->thread, NULL, run, c) != 0) {
            free(c->request);
            free(c->response);
            *status = DX_ERR_SYSTEM;
            break;
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct soak_host *soak_host_start(struct dx_channel *channel, struct soak_header *ledger,
                                  uint32_t callers, uint32_t life, int *status)
{
    struct soak_host *host = calloc(1, sizeof *host);
    struct caller *all = calloc(callers, sizeof *all);
    pthread_condattr_t monotonic;
    *status = DX_ERR_SYSTEM;
    if (host == NULL || all == NULL) {
        free(host);
        free(all);
        return NULL;
    }
    *host = (struct soak_host){.channel = channel,
                               .ledger = ledger,
                               .count = callers,
                               .life = life,
                               .most = dx_channel_request_capacity(channel),
                               .callers = all};
    (void)pthread_mutex_init(&host->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&host->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *status = DX_OK;
    start_threads(host, status);
    if (*status == DX_OK)
        return host;
    soak_host_stop(host);
    return NULL;
}

void soak_host_stop(struct soak_host *host)
{
    (void)pthread_mutex_lock(&host->lock);
    atomic_store(&host->stop, 1);
    (void)pthread_cond_broadcast(&host->changed);
    (void)pthread_mutex_unlock(&host->lock);
    dx_stop(host->channel);
    for (uint32_t i = 0; i < host->started; i++) {
        (void)pthread_join(host->callers[i].thread, NULL);
        dx_caller_close(host->callers[i].caller);
        free(host->callers[i].request);
        free(host->callers[i].response);
    }
    (void)pthread_cond_destroy(&host->changed);
    (void)pthread_mutex_destroy(&host->lock);
    free(host->callers);
    free(host);
}
