/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../clock.h"
#include "../error.h"
#include "top.h"

/* Looking for regions reads /proc, which costs more than looking at them. */
#define FIND_NS 2000000000ll

static uint32_t slots_of_all(const struct look *l)
{
    return l->places * l->observers[0]->geometry.slots;
}

struct reading {
    struct top_region *region;
    bool want_slots;
    const char *url;
    const struct found *found; /* by which it is opened; NULL: by url */
    struct look look;          /* of a region that is opened anew */
    dx_status status;
};

static void open_region(void *user)
{
    struct reading *g = user;
    char url[FIND_URL_BYTES];
    int fd = -1;
    g->status = g->found != NULL ? find_open(g->found, url, &fd) : DX_OK;
    if (g->status == DX_OK)
        g->status = look_open(&g->look, g->found != NULL ? url : g->url, g->url);
    if (g->status != DX_OK)
        look_close(&g->look);
    if (fd >= 0)
        (void)close(fd);
}

static dx_status read_slots(struct top_region *r)
{
    uint32_t count = slots_of_all(&r->look);
    struct dx_stats *before = r->slots_before;
    r->slots_before = r->slots_now;
    r->slots_now = before != NULL ? before : calloc(count, sizeof *before);
    if (r->slots_now == NULL)
        return dx_fail(DX_ERR_SYSTEM, "no memory for %u slots", count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slots = r->look.observers[0]->geometry.slots;
        (void)dx_stats_read_slot(r->look.observers[i / slots], i % slots, &r->slots_now[i]);
    }
    return DX_OK;
}

/* A new host may have made another region of what was there. */
static bool is_the_same(const struct look *l)
{
    struct dx_geometry g;
    const struct dx_channel *c = l->observers[0];
    return dx_header_check(c->header, c->region.bytes, &g) == DX_OK &&
           dx_geometry_equal(&g, &c->geometry);
}

static void read_region(void *user)
{
    struct reading *g = user;
    struct top_region *r = g->region;
    g->status = DX_ERR_STALE;
    if (!is_the_same(&r->look))
        return;
    memcpy(r->before, r->now, sizeof r->now);
    g->status = look_read(&r->look, r->now);
    if (g->status == DX_OK && g->want_slots)
        g->status = read_slots(r);
}

static void forget(struct top_region *r)
{
    if (r->open)
        look_close(&r->look);
    r->open = false;
    free(r->slots_now);
    free(r->slots_before);
    r->slots_now = r->slots_before = NULL;
}

static void set_problem(struct top_region *r, const char *text)
{
    (void)snprintf(r->problem, sizeof r->problem, "%s", text);
    r->unseen = false;
}

static void set_failure(struct top_region *r, dx_status status)
{
    set_problem(r, look_error(status));
    r->unseen = status == DX_ERR_SYSTEM || status == DX_ERR_PERMISSION;
}

static void open_anew(struct top_region *r, struct reading *g)
{
    memset(&g->look, 0, sizeof g->look);
    bool whole = look_guarded(open_region, g);
    forget(r);
    if (!whole) {
        set_problem(r, "it was cut short just now");
        return;
    }
    if (g->status != DX_OK) {
        set_failure(r, g->status);
        return;
    }
    r->look = g->look;
    r->look.url = r->url;
    r->open = true;
    r->looks = 0;
    set_problem(r, "");
}

/* Where nobody lives any more, another region may stand under the same URL by now. */
static bool is_alive(const struct top_region *r)
{
    bool alive = false;
    for (uint32_t i = 0; i < r->look.places; i++)
        alive |= r->now[i].host_locked || r->now[i].guest_locked;
    return alive;
}

static void update(struct top *t, struct top_region *r, const struct found *found,
                   struct reading *g)
{
    *g = (struct reading){.region = r, .want_slots = t->want_slots, .url = r->url, .found = found};
    if (!r->open || (t->url != NULL && r->looks > 0 && !is_alive(r)))
        open_anew(r, g);
    if (!r->open)
        return;
    int64_t now_ns = dx_clock_ns();
    bool whole = look_guarded(read_region, g);
    if (!whole || g->status != DX_OK) {
        if (!whole)
            set_problem(r, "it was cut short just now");
        else if (g->status == DX_ERR_STALE)
            set_problem(r, "it is made anew");
        else
            set_failure(r, g->status);
        forget(r);
        return;
    }
    r->seconds = (double)(now_ns - r->read_ns) / 1e9;
    r->read_ns = now_ns;
    r->looks += r->looks < 2;
}

static struct top_region *add(struct top *t, const char *url)
{
    struct top_region **more = realloc(t->regions, (t->count + 1) * sizeof(struct top_region *));
    if (more != NULL)
        t->regions = more;
    struct top_region *r = more != NULL ? calloc(1, sizeof *r) : NULL;
    size_t bytes = strlen(url) + 1;
    char *copy = r != NULL ? malloc(bytes) : NULL;
    if (copy == NULL) {
        free(r);
        return NULL;
    }
    memcpy(copy, url, bytes);
    r->url = copy;
    t->regions[t->count++] = r;
    return r;
}

static struct top_region *find_known(const struct top *t, const struct found *f)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->regions[i]->inode == f->inode && t->regions[i]->device == f->device &&
            strcmp(t->regions[i]->url, f->url) == 0)
            return t->regions[i];
    return NULL;
}

static void drop(struct top_region *r)
{
    forget(r);
    free(r->url);
    free(r);
}

static void drop_unseen(struct top *t)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        if (t->regions[i]->seen)
            t->regions[kept++] = t->regions[i];
        else
            drop(t->regions[i]);
    }
    t->count = kept;
}

/* Renews the list of all regions, and looks at each. */
static bool look_at_found(struct top *t, struct reading *g)
{
    struct found_list list;
    bool done = true;
    find_all(&list);
    (void)snprintf(t->problem, sizeof t->problem, "%s", list.problem);
    for (size_t i = 0; i < t->count; i++)
        t->regions[i]->seen = false;
    for (size_t i = 0; i < list.count && done; i++) {
        const struct found *f = &list.items[i];
        if (f->is_socket)
            continue;
        struct top_region *r = find_known(t, f);
        if (r == NULL) {
            r = add(t, f->url);
            done = r != NULL;
        }
        if (r == NULL)
            continue;
        r->device = f->device;
        r->inode = f->inode;
        r->seen = true;
        update(t, r, f, g);
    }
    drop_unseen(t);
    find_free(&list);
    return done;
}

static bool look_at_known(struct top *t, struct reading *g)
{
    if (t->url != NULL && t->count == 0) {
        struct top_region *r = add(t, t->url);
        if (r == NULL)
            return false;
        update(t, r, NULL, g);
        return r->open;
    }
    for (size_t i = 0; i < t->count; i++)
        if (t->url != NULL || t->regions[i]->open)
            update(t, t->regions[i], NULL, g);
    return true;
}

bool top_look(struct top *t)
{
    struct reading *g = calloc(1, sizeof *g);
    if (g == NULL)
        return false;
    int64_t now_ns = dx_clock_ns();
    bool done;
    if (t->url == NULL && (t->found_ns == 0 || now_ns - t->found_ns >= FIND_NS)) {
        t->found_ns = now_ns;
        done = look_at_found(t, g);
    } else {
        done = look_at_known(t, g);
    }
    free(g);
    top_sort(t);
    return done;
}

void top_free(struct top *t)
{
    for (size_t i = 0; i < t->count; i++)
        drop(t->regions[i]);
    free(t->regions);
    t->regions = NULL;
    t->count = 0;
}
