/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbells.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Far more than any server lets in; each costs a descriptor. */
#define PEERS_MAX 1024u

/* Of Linux, which a C library may not know. */
#define NOWAIT 8

void dx_doorbells_init(struct dx_doorbells *d)
{
    memset(d, 0, sizeof *d);
    (void)pthread_mutex_init(&d->lock, NULL);
}

/* The lock is held. */
static void release(struct dx_doorbell *bell)
{
    if (--bell->users != 0)
        return;
    if (bell->fd >= 0)
        (void)close(bell->fd);
    free(bell);
}

void dx_doorbells_close(struct dx_doorbells *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        release(d->bells[i]);
    free(d->bells);
    (void)pthread_mutex_destroy(&d->lock);
}

void dx_doorbells_forked(struct dx_doorbells *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        (void)close(d->bells[i]->fd);
        d->bells[i]->fd = -1;
        d->bells[i]->users = 1; /* who rang it is not in the child */
    }
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

static bool grow(struct dx_doorbells *d)
{
    if (d->count < d->room)
        return true;
    uint32_t room = d->room != 0 ? 2 * d->room : 8;
    struct dx_doorbell **bells =
        realloc(d->bells, room * sizeof(*bells)); /* NOLINT(bugprone-sizeof-expression): pointers */
    if (bells == NULL)
        return false;
    d->bells = bells;
    d->room = room;
    return true;
}

static bool add(struct dx_doorbells *d, uint32_t id, int fd)
{
    struct dx_doorbell *bell = d->count < PEERS_MAX && grow(d) ? malloc(sizeof *bell) : NULL;
    if (bell == NULL)
        return false;
    *bell = (struct dx_doorbell){.id = id, .fd = fd, .users = 1};
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
        release(d->bells[at]);
        d->bells[at] = d->bells[--d->count];
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

bool dx_doorbell_is_one(int fd)
{
    /* What has no type in its mode has no file behind it; of such descriptors an eventfd is the one
     * that can be written to. */
    struct stat s;
    return fstat(fd, &s) == 0 && (s.st_mode & S_IFMT) == 0;
}

void dx_doorbell_write(int fd)
{
    /* Whoever shares the eventfd can fill it, and make it blocking for all who share it. */
    uint64_t one = 1;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && write(fd, &one, sizeof one) != (ssize_t)sizeof one)
        return; /* full: rung enough */
}

void dx_doorbell_take(int fd)
{
    uint64_t count;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof count};
    /* -1 is the place in the file: where it is. */
    if (syscall(SYS_preadv2, fd, &part, 1, -1l, -1l, NOWAIT) >= 0 ||
        (errno != EOPNOTSUPP && errno != ENOSYS))
        return;
    /* Linux before 5.8 cannot be asked not to wait for this one read. */
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && read(fd, &count, sizeof count) < 0)
        return; /* none were there */
}

bool dx_doorbells_ring(struct dx_doorbells *d, uint32_t id)
{
    (void)pthread_mutex_lock(&d->lock);
    uint32_t at = find(d, id);
    struct dx_doorbell *bell = at < d->count ? d->bells[at] : NULL;
    if (bell != NULL)
        bell->users++;
    (void)pthread_mutex_unlock(&d->lock);
    if (bell == NULL)
        return false;
    /* Without the lock: a peer that stretches this call holds up nobody who rings another. */
    dx_doorbell_write(bell->fd);
    (void)pthread_mutex_lock(&d->lock);
    release(bell);
    (void)pthread_mutex_unlock(&d->lock);
    return true;
}
