/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous_link_users.h"

#include "atomic.h"

void dx_link_users_init(struct dx_link_users *u)
{
    u->count = 0;
    u->holders = 1;
    u->left_found = 0;
    (void)pthread_mutex_init(&u->lock, NULL);
}

void dx_link_users_forked(struct dx_link_users *u)
{
    (void)pthread_mutex_init(&u->lock, NULL);
    u->count = 0;
}

void dx_link_users_destroy(struct dx_link_users *u)
{
    (void)pthread_mutex_destroy(&u->lock);
}

void dx_link_users_share(struct dx_link_users *u)
{
    (void)pthread_mutex_lock(&u->lock);
    u->holders++;
    (void)pthread_mutex_unlock(&u->lock);
}

bool dx_link_users_release(struct dx_link_users *u)
{
    (void)pthread_mutex_lock(&u->lock);
    bool last = --u->holders == 0;
    (void)pthread_mutex_unlock(&u->lock);
    return last;
}

bool dx_link_users_sole(struct dx_link_users *u)
{
    (void)pthread_mutex_lock(&u->lock);
    bool sole = u->holders == 1;
    (void)pthread_mutex_unlock(&u->lock);
    return sole;
}

void dx_link_users_add(struct dx_link_users *u, const struct dx_link_user *user)
{
    (void)pthread_mutex_lock(&u->lock);
    if (u->count < DX_GUESTS_MAX)
        u->list[u->count++] = *user;
    (void)pthread_mutex_unlock(&u->lock);
}

static uint64_t found_by(const struct dx_link_user *user)
{
    return dx_load_relaxed(user->found); /* relaxed: a number */
}

void dx_link_users_remove(struct dx_link_users *u, const struct dx_channel *channel)
{
    (void)pthread_mutex_lock(&u->lock);
    for (uint32_t i = 0; i < u->count; i++)
        if (u->list[i].channel == channel) {
            u->left_found += found_by(&u->list[i]);
            u->list[i] = u->list[--u->count];
        }
    (void)pthread_mutex_unlock(&u->lock);
}

void dx_link_users_left(struct dx_link_users *u, int64_t id)
{
    (void)pthread_mutex_lock(&u->lock);
    for (uint32_t i = 0; i < u->count; i++)
        u->list[i].left(u->list[i].channel, id);
    (void)pthread_mutex_unlock(&u->lock);
}

void dx_link_users_rung(struct dx_link_users *u)
{
    (void)pthread_mutex_lock(&u->lock);
    for (uint32_t i = 0; i < u->count; i++)
        u->list[i].rung(u->list[i].channel);
    (void)pthread_mutex_unlock(&u->lock);
}

uint64_t dx_link_users_found(struct dx_link_users *u)
{
    (void)pthread_mutex_lock(&u->lock);
    uint64_t found = u->left_found;
    for (uint32_t i = 0; i < u->count; i++)
        found += found_by(&u->list[i]);
    (void)pthread_mutex_unlock(&u->lock);
    return found;
}
