/* SPDX-License-Identifier: Apache-2.0 */
/* Where histograms lie, and how their writers come to them. */
#include "histogram.h"

#include <errno.h>

#include "error.h"

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

uint64_t dx_histogram_bytes(const struct dx_geometry *g)
{
    uint64_t count = g->slots + 2u * DX_SERVE_THREADS_MAX + g->cells;
    return count * sizeof(struct dx_histogram_lines);
}

uint64_t dx_histogram_stride(const struct dx_geometry *g)
{
    return round_up(dx_histogram_bytes(g), DX_PLACE_ALIGNMENT);
}

/* Where the histograms of the first place begin. */
static uint64_t first_offset(const struct dx_geometry *g, uint32_t places)
{
    return round_up((places - 1) * g->place_bytes + g->region_bytes, DX_PLACE_ALIGNMENT);
}

uint64_t dx_histogram_room(const struct dx_geometry *g, uint32_t places)
{
    uint64_t end = first_offset(g, places) + places * dx_histogram_stride(g);
    return end - ((places - 1) * g->place_bytes + g->region_bytes);
}

void dx_histogram_place(struct dx_channel **channels, uint32_t places)
{
    const struct dx_geometry *g = &channels[0]->geometry;
    uint64_t first = first_offset(g, places);
    uint64_t stride = dx_histogram_stride(g);
    uint64_t number = (first + (places - 1) * stride) / DX_PLACE_ALIGNMENT;
    bool fits = first + places * stride <= dx_region_file_bytes(&channels[0]->region) &&
                channels[0]->region.page_bytes <= DX_PLACE_ALIGNMENT && number <= UINT32_MAX;
    for (uint32_t place = 0; place < places; place++)
        channels[place]->geometry.histograms =
            fits ? (first + place * stride) / DX_PLACE_ALIGNMENT : 0;
}

/* Where in the region's file they begin. DX_ERR_SHORT: nowhere. What the header says is input: it
 * must lie behind all places and within the file. */
static dx_status find_offset(const struct dx_channel *c, uint64_t *offset)
{
    const struct dx_geometry *g = &c->geometry;
    const char *path = c->region.url.path;
    uint64_t at = g->histograms * DX_PLACE_ALIGNMENT;
    if (at == 0)
        return dx_fail(DX_ERR_SHORT,
                       "%s: has no room for histograms: its host was of an older libdx, its memory "
                       "ends before them, or it lies on huge pages",
                       path);
    uint64_t before = g->place * g->place_bytes;
    uint64_t start = c->region.offset - before; /* of place 0, in the file */
    errno = 0;
    uint64_t there = dx_region_file_bytes(&c->region);
    if (there == 0 && errno != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    if (at < first_offset(g, g->places) || start + at + dx_histogram_bytes(g) > there)
        return dx_fail(DX_ERR_SHORT,
                       "%s: its histograms would lie at byte %llu, where its memory has ended or "
                       "is another's",
                       path, (unsigned long long)at);
    *offset = start + at;
    return DX_OK;
}

static bool is_device(const struct dx_channel *c)
{
    return dx_channel_kernels(c) == DX_OTHER_KERNEL;
}

/* Reserved first, for whoever writes; who only reads makes sure that the pages are there. */
static dx_status map(struct dx_channel *c)
{
    const struct dx_region *r = &c->region;
    uint64_t bytes = dx_histogram_bytes(&c->geometry);
    uint64_t at = 0;
    dx_status status = find_offset(c, &at);
    if (status == DX_OK && !r->read_only && !is_device(c))
        status = dx_region_reserve(r->fd, r->url.path, at, at + bytes, false);
    if (status != DX_OK)
        return status;
    void *lines = dx_region_map_part(r->fd, at, bytes, r->read_only, r->page_bytes);
    if (lines == NULL)
        return dx_fail_errno("%s: cannot map its histograms", r->url.path);
    struct dx_histogram_lines *none = NULL;
    /* Two threads may come here at once. */
    if (!dx_cas_seqcst(&c->histograms, &none, lines)) /* R18 -> A18: mapped */
        dx_region_unmap_part(lines, at, bytes, r->page_bytes);
    else
        c->histograms_offset = at;
    return DX_OK;
}

dx_status dx_histogram_map(struct dx_channel *c, struct dx_histogram_lines **out)
{
    dx_status status = DX_OK;
    *out = dx_load_acquire(&c->histograms); /* A18 <- R18 */
    if (*out == NULL)
        status = map(c);
    *out = dx_load_acquire(&c->histograms); /* A18 <- R18 */
    return status;
}

dx_status dx_histogram_touch(const struct dx_channel *c)
{
    void *lines = dx_load_acquire(&c->histograms); /* A18 <- R18 */
    return dx_region_touch_at(&c->region, lines, dx_histogram_bytes(&c->geometry));
}

void dx_histogram_unmap(struct dx_channel *c)
{
    struct dx_histogram_lines *lines = dx_load_acquire(&c->histograms); /* A18 <- R18 */
    dx_region_unmap_part(lines, c->histograms_offset, dx_histogram_bytes(&c->geometry),
                         c->region.page_bytes);
}

static void clear(struct dx_histogram_lines *lines, uint32_t generation)
{
    /* Relaxed: as all counters; the generation after them says that they count. */
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++)
        dx_store_relaxed(&lines->counts[i], 0u);
    dx_store_relaxed(&lines->sum_ns, 0u);
    dx_store_relaxed(&lines->max_ns, 0u);
    dx_store_release(&lines->generation, generation); /* R20 -> A20: cleared */
}

void dx_recorder_find(struct dx_recorder *r, struct dx_channel *c, uint64_t control, uint32_t index)
{
    struct dx_histogram_lines *all;
    uint64_t mark = dx_error_mark();
    r->control = control;
    r->left = 1;
    r->lines = NULL;
    dx_status status = dx_histogram_map(c, &all);
    /* Whoever calls knows nothing of this, and is told nothing of it. */
    (void)dx_error_settle(mark, DX_OK);
    if (status != DX_OK)
        return;
    r->scale = dx_ticks_find_scale();
    r->lines = &all[index];
    /* Relaxed: ours. */
    if (dx_load_relaxed(&r->lines->generation) != (uint32_t)(control >> 32))
        clear(r->lines, (uint32_t)(control >> 32));
}
