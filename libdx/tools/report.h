/* SPDX-License-Identifier: Apache-2.0 */
/* What dx info knows of a region, for people and for programs. */
#ifndef DX_TOOL_REPORT_H
#define DX_TOOL_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../dx_stats.h"
#include "../layout.h"

#define REPORT_SIDES 2
#define REPORT_STATS 4

struct peer_report {
    const char *state;    /* none, initialising, open, closed, dead */
    uint32_t pid;         /* as it says itself */
    uint32_t doorbell_id; /* 1 + the id at the rendezvous, 0: none */
    uint32_t epoch;
    uint32_t slots_used;
    uint64_t session;
    uint64_t kernel; /* which kernel it runs under, 0: it does not say */
    uint64_t beats;  /* its heartbeat */
    const char *park;
};

/* Counters are those of one look, peers' lines of another just before. */
struct report {
    const char *url;
    uint32_t version;
    struct dx_geometry geometry; /* with the place, and how many there are */
    struct peer_report peers[REPORT_SIDES];
    bool host_locked;
    bool open_locked;
    bool guest_locked;
    struct dx_stats stats[REPORT_STATS]; /* by enum dx_stats_of */
};

/* One of them. */
void report_print(const struct report *report, FILE *out);
void report_print_json(const struct report *report, FILE *out);

#endif
