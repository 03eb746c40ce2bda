/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of regions, as metrics in the text exposition format 0.0.4 of Prometheus, which the
 * textfile collector of node_exporter reads. Names and units follow Prometheus' conventions: base
 * units, `_total` for what only grows. Labels: url, place, side (host, guest), role (caller,
 * server).
 */
#ifndef DX_TOOL_METRICS_H
#define DX_TOOL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "report.h"

struct metrics_region {
    const char *url;
    uint32_t places;        /* 0: it could not be read */
    struct report *reports; /* one a place */
};

void metrics_print(const struct metrics_region *regions, size_t count, FILE *out);

#endif
