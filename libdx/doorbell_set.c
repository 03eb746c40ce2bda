/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbell_set.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "atomic.h"
#include "doorbell.h"
#include "thread.h"

/* Far more than any server lets in; each costs a descriptor. */
#define PEERS_MAX 1024u

void dx_doorbells_init(struct dx_doorbells *d)
{
    memset(d, 0, sizeof *d);
    d->own.fd = -1;
    (void)pthread_mutex_init(&d->lock, NULL);
    dx_thread_cond_init(&d->wake);
}

void dx_doorbell_release(struct dx_doorbell *bell)
{
    if (--bell->users != 0)
        return;
    if (bell->fd >= 0)
        (void)close(bell->fd);
    free(bell);
}

void dx_doorbells_own(struct dx_doorbells *d, uint32_t id, int fd)
{
    dx_doorbell_unblock(fd);
    (void)pthread_mutex_lock(&d->lock);
    d->own = (struct dx_doorbell){.id = id, .fd = fd, .users = 1}; /* never the last */
    (void)pthread_mutex_unlock(&d->lock);
}

void dx_doorbells_close(struct dx_doorbells *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        dx_doorbell_release(d->bells[i]);
    free(d->bells);
    (void)pthread_cond_destroy(&d->wake);
    (void)pthread_mutex_destroy(&d->lock);
}

void dx_doorbells_forked(struct dx_doorbells *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        (void)close(d->bells[i]->fd);
        d->bells[i]->fd = -1;
        d->bells[i]->rings = 0;
        d->bells[i]->users = 1; /* who rang it is not in the child */
    }
    d->own.fd = -1;
    d->guarded = d->asleep = false;
    d->under_way = 0;
    dx_thread_cond_init(&d->wake); /* the guard waited for it */
    (void)pthread_mutex_init(&d->lock, NULL);
}

/* Its place in the list, or `count`. */
static uint32_t find(const struct dx_doorbells *d, uint32_t id)
{
    uint32_t i = 0;
    while (i < d->count && d->bells[i]->id != id)
        i++;
    return i;
}

static struct dx_doorbell *bell_of(struct dx_doorbells *d, uint32_t id)
{
    if (d->own.fd >= 0 && d->own.id == id)
        return &d->own;
    uint32_t at = find(d, id);
    return at < d->count ? d->bells[at] : NULL;
}

static bool grow(struct dx_doorbells *d)
{
    if (d->count < d->room)
        return true;
    uint32_t room = d->room != 0 ? 2 * d->room : 8;
    struct dx_doorbell **bells =
        calloc(room, sizeof(*bells)); /* NOLINT(bugprone-sizeof-expression) */
    if (bells == NULL)
        return false;
    /* The list is whole at any time: another thread may fork. */
    struct dx_doorbell **before = d->bells;
    for (uint32_t i = 0; i < d->count; i++)
        bells[i] = before[i];
    d->bells = bells;
    d->room = room;
    free(before);
    return true;
}

static bool add(struct dx_doorbells *d, uint32_t id, int fd)
{
    struct dx_doorbell *bell = d->count < PEERS_MAX && grow(d) ? malloc(sizeof *bell) : NULL;
    if (bell == NULL)
        return false;
    *bell = (struct dx_doorbell){.id = id, .fd = fd, .users = 1};
    dx_doorbell_unblock(fd);
    d->bells[d->count++] = bell;
    d->left[id / 64] &= ~(1ull << id % 64);
    return true;
}

bool dx_doorbells_join(struct dx_doorbells *d, int64_t id, int fd)
{
    bool known = false;
    bool kept = false;
    if (id >= 0 && id < (int64_t)DX_IVSHMEM_IDS && dx_doorbell_is_one(fd)) {
        uint32_t number = (uint32_t)id;
        (void)pthread_mutex_lock(&d->lock);
        known = find(d, number) < d->count;
        kept = !known && add(d, number, fd);
        (void)pthread_mutex_unlock(&d->lock);
    }
    if (!kept)
        (void)close(fd);
    return known || kept;
}

void dx_doorbells_leave(struct dx_doorbells *d, int64_t id)
{
    if (id < 0 || id >= (int64_t)DX_IVSHMEM_IDS)
        return;
    uint32_t number = (uint32_t)id;
    (void)pthread_mutex_lock(&d->lock);
    d->left[number / 64] |= 1ull << number % 64;
    uint32_t at = find(d, number);
    if (at < d->count) {
        /* Out of the list before its descriptor is closed: another thread may fork between, and
         * the child closes what the list names. */
        struct dx_doorbell *bell = d->bells[at];
        d->bells[at] = d->bells[--d->count];
        dx_doorbell_release(bell);
    }
    (void)pthread_mutex_unlock(&d->lock);
}

bool dx_doorbells_left(struct dx_doorbells *d, uint32_t id)
{
    if (id >= DX_IVSHMEM_IDS)
        return false;
    (void)pthread_mutex_lock(&d->lock);
    bool left = (d->left[id / 64] >> id % 64 & 1) != 0;
    (void)pthread_mutex_unlock(&d->lock);
    return left;
}

bool dx_doorbells_ring(struct dx_doorbells *d, uint32_t id)
{
    (void)pthread_mutex_lock(&d->lock);
    struct dx_doorbell *bell = bell_of(d, id);
    if (bell != NULL) {
        bell->users++;
        bell->rings++;
        d->rung++;
        d->under_way++;
        if (dx_unlikely(d->asleep))
            (void)pthread_cond_signal(&d->wake);
        d->asleep = false;
    }
    (void)pthread_mutex_unlock(&d->lock);
    if (bell == NULL)
        return false;
    /* Without the lock: a peer that stretches this holds up nobody who rings another. */
    if (dx_unlikely(!dx_doorbell_is_unblocked(bell->fd)))
        dx_doorbell_unblock(bell->fd); /* somebody else has made it blocking, and may again */
    dx_doorbell_write(bell->fd);
    (void)pthread_mutex_lock(&d->lock);
    bell->rings--;
    d->under_way--;
    dx_doorbell_release(bell);
    (void)pthread_mutex_unlock(&d->lock);
    return true;
}
