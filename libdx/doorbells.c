/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbells.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Far more than any server lets in; each costs a descriptor. */
#define PEERS_MAX 1024u

void dx_doorbells_init(struct dx_doorbells *d)
{
    memset(d, 0, sizeof *d);
    (void)pthread_mutex_init(&d->lock, NULL);
}

void dx_doorbells_close(struct dx_doorbells *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        (void)close(d->bells[i].fd);
    free(d->bells);
    (void)pthread_mutex_destroy(&d->lock);
}

void dx_doorbells_forked(struct dx_doorbells *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        (void)close(d->bells[i].fd);
    d->count = 0;
    (void)pthread_mutex_init(&d->lock, NULL);
}

static struct dx_doorbell *find(const struct dx_doorbells *d, uint32_t id)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (d->bells[i].id == id)
            return &d->bells[i];
    return NULL;
}

static bool grow(struct dx_doorbells *d)
{
    if (d->count < d->room)
        return true;
    uint32_t room = d->room != 0 ? 2 * d->room : 8;
    struct dx_doorbell *bells = realloc(d->bells, room * sizeof *bells);
    if (bells == NULL)
        return false;
    d->bells = bells;
    d->room = room;
    return true;
}

bool dx_doorbells_join(struct dx_doorbells *d, int64_t id, int fd)
{
    bool known = false;
    bool kept = false;
    (void)pthread_mutex_lock(&d->lock);
    if (id >= 0 && id < (int64_t)DX_IVSHMEM_IDS && d->count < PEERS_MAX) {
        uint32_t number = (uint32_t)id;
        known = find(d, number) != NULL;
        if (!known && grow(d)) {
            d->bells[d->count++] = (struct dx_doorbell){.id = number, .fd = fd};
            d->left[number / 64] &= ~(1ull << number % 64);
            kept = true;
        }
    }
    (void)pthread_mutex_unlock(&d->lock);
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
    struct dx_doorbell *bell = find(d, number);
    if (bell != NULL) {
        (void)close(bell->fd);
        *bell = d->bells[--d->count];
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

void dx_doorbell_write(int fd)
{
    /* Non-blocking it is, but whoever shares the eventfd can change that, and fill it. */
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    uint64_t one = 1;
    if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0 &&
        write(fd, &one, sizeof one) != (ssize_t)sizeof one)
        return; /* full meanwhile: rung enough */
}

bool dx_doorbells_ring(struct dx_doorbells *d, uint32_t id)
{
    (void)pthread_mutex_lock(&d->lock);
    const struct dx_doorbell *bell = find(d, id);
    if (bell != NULL)
        dx_doorbell_write(bell->fd);
    (void)pthread_mutex_unlock(&d->lock);
    return bell != NULL;
}
