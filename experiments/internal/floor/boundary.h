/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare loop across the boundary of a virtual machine: the same exchange as floor_exchange, but
 * side B is a process in a guest that maps the same memory. It looks for work now and then while
 * there is none, so that it costs next to nothing beside what is measured.
 *
 * Both sides lay the same struct over the same bytes. A guest that writes nonsense spoils the
 * figure and nothing else: the host gives up when the guest is gone.
 */
#ifndef BOUNDARY_H
#define BOUNDARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "floor.h"

/* Bytes of the area that both map, payloads of FLOOR_BOUNDARY_PAYLOAD_MAX each way included. */
#define FLOOR_BOUNDARY_PAYLOAD_MAX (1u << 20)
#define FLOOR_BOUNDARY_BYTES (4u << 20)

enum floor_boundary {
    FLOOR_BOUNDARY_OK = 0,
    FLOOR_BOUNDARY_NOBODY = 1, /* the guest was gone before it took the work up */
    FLOOR_BOUNDARY_SILENT = 2, /* it was gone before the end */
    FLOOR_BOUNDARY_MEMORY = 3,
};

/* The host's side: one measurement, blocking for about duration_ns, and until *gone is not 0 if the
 * guest does not answer. pause says whether the guest is to execute PAUSE between two looks; the
 * host always does. area has FLOOR_BOUNDARY_BYTES. */
enum floor_boundary floor_boundary_measure(void *area, size_t bytes, bool pause,
                                           int64_t duration_ns, const int *gone,
                                           struct floor_exchange *out);

/* The guest's side, until *stop is not 0: 0, or ENOMEM. */
int floor_boundary_serve(void *area, const int *stop);

#endif
