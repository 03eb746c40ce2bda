/* SPDX-License-Identifier: Apache-2.0 */
#include "link_channels.h"

#include "atomic.h"
#include "channel.h"

void dx_link_channels_init(struct dx_link_channels *l)
{
    l->count = 0;
    l->users = 1;
    l->left_found = 0;
    (void)pthread_mutex_init(&l->lock, NULL);
}

void dx_link_channels_forked(struct dx_link_channels *l)
{
    (void)pthread_mutex_init(&l->lock, NULL);
    l->count = 0;
}

void dx_link_channels_destroy(struct dx_link_channels *l)
{
    (void)pthread_mutex_destroy(&l->lock);
}

void dx_link_channels_share(struct dx_link_channels *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->users++;
    (void)pthread_mutex_unlock(&l->lock);
}

bool dx_link_channels_release(struct dx_link_channels *l)
{
    (void)pthread_mutex_lock(&l->lock);
    bool last = --l->users == 0;
    (void)pthread_mutex_unlock(&l->lock);
    return last;
}

bool dx_link_channels_sole(struct dx_link_channels *l)
{
    (void)pthread_mutex_lock(&l->lock);
    bool sole = l->users == 1;
    (void)pthread_mutex_unlock(&l->lock);
    return sole;
}

void dx_link_channels_add(struct dx_link_channels *l, struct dx_channel *channel)
{
    (void)pthread_mutex_lock(&l->lock);
    if (l->count < DX_GUESTS_MAX)
        l->list[l->count++] = channel;
    (void)pthread_mutex_unlock(&l->lock);
}

void dx_link_channels_remove(struct dx_link_channels *l, const struct dx_channel *channel)
{
    (void)pthread_mutex_lock(&l->lock);
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i] == channel) {
            l->left_found += dx_load_relaxed(&channel->found); /* relaxed: a number */
            l->list[i] = l->list[--l->count];
        }
    (void)pthread_mutex_unlock(&l->lock);
}

void dx_link_channels_left(struct dx_link_channels *l, int64_t id)
{
    (void)pthread_mutex_lock(&l->lock);
    for (uint32_t i = 0; i < l->count; i++) {
        struct dx_channel *c = l->list[i];
        /* Relaxed: a peer that is only just beginning is looked at again by whoever waits. */
        uint32_t doorbell_id = dx_load_relaxed(&c->peers[dx_other(c->side)].doorbell_id);
        if ((int64_t)doorbell_id - 1 == id)
            dx_session_ring_all(c, c->side);
    }
    (void)pthread_mutex_unlock(&l->lock);
}

void dx_link_channels_dispatch(struct dx_link_channels *l)
{
    (void)pthread_mutex_lock(&l->lock);
    for (uint32_t i = 0; i < l->count; i++)
        dx_channel_dispatch(l->list[i]);
    (void)pthread_mutex_unlock(&l->lock);
}

uint64_t dx_link_channels_found(struct dx_link_channels *l)
{
    (void)pthread_mutex_lock(&l->lock);
    uint64_t found = l->left_found;
    for (uint32_t i = 0; i < l->count; i++)
        found += dx_load_relaxed(&l->list[i]->found); /* relaxed: a number */
    (void)pthread_mutex_unlock(&l->lock);
    return found;
}
