/* SPDX-License-Identifier: Apache-2.0 */
/* The guest: does with each frame what the host's message says. */
#ifndef DX_EXPERIMENT_FRAME_GUEST_H
#define DX_EXPERIMENT_FRAME_GUEST_H

#include <stdint.h>

struct dx_wait;

/* Attaches, writes the line "ready" to ready_fd, serves on the calling thread until the host is
 * gone. `counters` is passed on to guest_count.go. A dx_status. */
int frame_serve(const char *url, const struct dx_wait *wait, int ready_fd, uintptr_t counters);

#endif
