/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at a region, as an observer that takes no lock and writes nothing: all its places, who
 * lives there, and what was counted. It can be repeated.
 */
#ifndef DX_TOOL_LOOK_H
#define DX_TOOL_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "../channel.h"
#include "report.h"

struct look {
    const char *url; /* what reports show; the caller's */
    uint32_t places;
    struct dx_channel *observers[DX_GUESTS_MAX];
    struct dx_heartbeat_sample samples[2 * DX_GUESTS_MAX];
    int64_t noted_ns; /* when the heartbeats were noted; 0: never */
};

/* Opens every place of the region. `shown` stands in reports. */
dx_status look_open(struct look *l, const char *url, const char *shown);

/* Fills a report for each place. Sides under another kernel are listened to for up to 0.5 s, if the
 * last look at them was not long enough ago. DX_ERR_SYSTEM: who lives there cannot be seen. */
dx_status look_read(struct look *l, struct report *reports);

void look_close(struct look *l);

/* Why it failed, for people, without the number of a descriptor that was opened for the look. */
const char *look_error(dx_status status);

/* Runs body, which reads regions. False if a file was cut short meanwhile, so that body ended in
 * the middle; the memory behind what it had open is lost. One thread. */
bool look_guarded(void (*body)(void *user), void *user);

/* From here on the process says so and ends if a file is cut short while it is read. */
void look_end_if_cut_short(void);

#endif
