/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bare doorbell: two programs that ring each other across the boundary of a machine and do
 * nothing else, which is what a parked call of dx cannot be faster than. Each writes its bytes and
 * their number, rings, and waits for its own eventfd. libdx only opens the device.
 */
#ifndef DX_EXPERIMENT_BELL_H
#define DX_EXPERIMENT_BELL_H

#include <stddef.h>
#include <stdint.h>

struct bell;

/* The host's side, and the guest's. A dx_status; bytes of each request and each answer. */
int bell_create(const char *url, uint32_t bytes, struct bell **out);
int bell_attach(const char *url, uint32_t bytes, struct bell **out);

/* Round trips for duration_ns, or until there are `room` of them. Their times in ns go to rtt_ns.
 * Returns how many there were; *status is not DX_OK if one failed, for lack of an answer after 10
 * s. */
uint64_t bell_calls(struct bell *bell, int64_t duration_ns, uint32_t *rtt_ns, uint64_t room,
                    int *status);

/* Answers until the host closes. A dx_status. */
int bell_serve(struct bell *bell);

void bell_close(struct bell *bell);

#endif
