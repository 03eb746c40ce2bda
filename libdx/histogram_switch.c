/* SPDX-License-Identifier: Apache-2.0 */
/* Switching histograms on and off, from a process that need not be of either side. */
#include <stdlib.h>

#include "atomic.h"
#include "error.h"
#include "histogram.h"

static dx_status open_place(const char *text, uint32_t place, struct dx_channel **out)
{
    struct dx_url *url;
    *out = NULL;
    dx_status status = dx_url_new(text, &url);
    if (status == DX_OK)
        status = dx_channel_make(DX_GUEST, NULL, out);
    if (status == DX_OK) {
        (*out)->observer = true;
        (*out)->switching = true;
        status = dx_attach_try(*out, url, place);
    }
    free(url);
    return status;
}

/* A new generation, so that every writer begins anew; or the end of this one. */
static void turn(struct dx_channel *c, uint32_t every)
{
    uint64_t before = dx_histogram_control(c);
    uint64_t after;
    do {
        uint32_t generation = (uint32_t)(before >> 32) + (every != 0);
        if (generation == 0)
            generation = 1; /* 0 is of memory that nobody has written */
        after = (uint64_t)generation << 32 | every;
    } while (!dx_cas_relaxed(&c->switches->histograms, &before, after)); /* relaxed: a number */
}

static dx_status switch_place(const char *url, uint32_t place, uint32_t every)
{
    struct dx_channel *c;
    struct dx_histogram_lines *lines;
    dx_status status = open_place(url, place, &c);
    /* Its memory is had now, so that a lack of it is told here. */
    if (status == DX_OK && every != 0)
        status = dx_histogram_map(c, &lines);
    if (status == DX_OK)
        turn(c, every);
    if (c != NULL)
        dx_channel_destroy(c);
    return status;
}

dx_status dx_histogram_switch(const char *url, uint32_t place, uint32_t every)
{
    uint64_t mark = dx_error_mark();
    return dx_error_settle(mark, switch_place(url, place, every));
}
