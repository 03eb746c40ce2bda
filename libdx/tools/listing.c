/* SPDX-License-Identifier: Apache-2.0 */
#include "listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../transport.h"
#include "look.h"

/* How a rendezvous calls its socket before it has its name. */
#define TEMPORARY_PREFIX ".dx-"
#define SHM "/dev/shm/"

struct attempt {
    struct listing *listing;
    struct look look;
    struct report reports[DX_GUESTS_MAX];
    dx_status status;
};

static void look(void *user)
{
    struct attempt *a = user;
    char url[FIND_URL_BYTES];
    int fd;
    a->status = find_open(a->listing->found, url, &fd);
    if (a->status != DX_OK)
        return;
    a->status = look_open(&a->look, url, a->listing->found->url);
    if (a->status == DX_OK)
        a->status = look_read(&a->look, a->reports);
    if (a->status == DX_OK)
        a->listing->places = a->look.places;
    look_close(&a->look);
    if (fd >= 0)
        (void)close(fd);
}

static bool is_locked(int fd, uint32_t lock)
{
    return dx_region_lock_look_by(fd, lock) != DX_LOCK_FREE;
}

/* Of what cannot be read the locks still tell whether somebody lives there. Where they cannot be
 * seen, that is no proof of a death. */
static void look_at_locks(void *user)
{
    struct listing *l = user;
    struct dx_url *url;
    struct dx_region *region = malloc(sizeof *region);
    if (region == NULL || l->found->descriptor[0] != '\0' ||
        dx_url_new(l->found->url, &url) != DX_OK) {
        l->alive |= l->found->descriptor[0] == '\0';
        free(region);
        return;
    }
    dx_status status = dx_region_open(url, true, region);
    l->alive |= status == DX_ERR_SYSTEM || status == DX_ERR_PERMISSION;
    if (status == DX_OK || (status == DX_ERR_SHORT && region->fd >= 0))
        for (uint32_t place = 0; place < DX_GUESTS_MAX; place++)
            l->alive |= is_locked(region->fd, dx_lock_at(place, DX_LOCK_HOST)) ||
                        is_locked(region->fd, dx_lock_at(place, DX_LOCK_GUEST));
    dx_region_close(region);
    free(region);
    free(url);
}

static void examine(struct listing *l, struct attempt *a)
{
    l->alive = l->found->user != 0;
    if (l->found->is_socket) {
        (void)snprintf(l->problem, sizeof l->problem, "nobody listens there");
        return;
    }
    memset(a, 0, sizeof *a);
    a->listing = l;
    if (!look_guarded(look, a)) {
        l->places = 0;
        l->alive = true; /* whoever cut it short is at work */
        (void)snprintf(l->problem, sizeof l->problem, "it was cut short just now");
        return;
    }
    if (a->status != DX_OK) {
        (void)snprintf(l->problem, sizeof l->problem, "%s", look_error(a->status));
        l->unseen = a->status == DX_ERR_SYSTEM || a->status == DX_ERR_PERMISSION;
        l->alive |= !look_guarded(look_at_locks, l);
        return;
    }
    for (uint32_t i = 0; i < l->places; i++)
        l->alive |= a->reports[i].host_locked || a->reports[i].guest_locked;
    l->reports = l->places != 0 ? malloc(l->places * sizeof *l->reports) : NULL;
    if (l->reports != NULL)
        memcpy(l->reports, a->reports, l->places * sizeof *l->reports);
    else
        l->places = 0;
    l->unseen = l->reports == NULL;
    if (l->unseen)
        (void)snprintf(l->problem, sizeof l->problem, "no memory");
}

bool listing_make(const char *prefix, struct listings *all)
{
    *all = (struct listings){.count = 0};
    find_all(&all->found);
    (void)snprintf(all->problem, sizeof all->problem, "%s", all->found.problem);
    struct attempt *attempt = malloc(sizeof *attempt);
    all->items = calloc(all->found.count + 1, sizeof *all->items);
    if (attempt == NULL || all->items == NULL) {
        free(attempt);
        free(all->items);
        find_free(&all->found);
        all->items = NULL;
        return false;
    }
    for (size_t i = 0; i < all->found.count; i++) {
        const struct found *f = &all->found.items[i];
        if (prefix != NULL && strncmp(f->url, prefix, strlen(prefix)) != 0)
            continue;
        struct listing *l = &all->items[all->count++];
        l->found = f;
        examine(l, attempt);
        if (all->problem[0] == '\0' && l->unseen)
            (void)snprintf(all->problem, sizeof all->problem, "%.200s: %.300s", f->url, l->problem);
    }
    free(attempt);
    return true;
}

void listing_tell_sockets(const struct listings *all, const char *verb, const char *meaning)
{
    if (all->found.sockets_error != 0)
        (void)fprintf(stderr, "dx %s: Unix sockets cannot be listed (unix_diag): %s: %s\n", verb,
                      strerror(all->found.sockets_error), meaning);
}

void listing_free(struct listings *all)
{
    for (size_t i = 0; i < all->count; i++)
        free(all->items[i].reports);
    free(all->items);
    find_free(&all->found);
    *all = (struct listings){.count = 0};
}

bool listing_is_dead(const struct listing *l)
{
    if (l->alive || l->found->is_device || l->found->descriptor[0] != '\0')
        return false;
    if (!l->found->is_socket)
        return true;
    const char *path = l->found->url + sizeof "unix:" - 1;
    const char *name = strrchr(path, '/');
    return strncmp(path, SHM, sizeof SHM - 1) == 0 ||
           (name != NULL && strncmp(name + 1, TEMPORARY_PREFIX, sizeof TEMPORARY_PREFIX - 1) == 0);
}
