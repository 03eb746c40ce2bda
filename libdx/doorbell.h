/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One eventfd that others share with us. They can change its flags and its count at any time, also
 * between two system calls of ours, and may have sent something else in its place.
 */
#ifndef DX_DOORBELL_H
#define DX_DOORBELL_H

#include <stdbool.h>

/* Is it an eventfd? Anything else must not be written to or waited for: a pipe, for example, can
 * end our process by SIGPIPE. errno is 0 if it is not, or says why that cannot be found out. */
bool dx_doorbell_is_one(int fd);

/* Has nobody made it blocking? */
bool dx_doorbell_is_unblocked(int fd);

/* Makes it non-blocking, for all who share it. */
void dx_doorbell_unblock(int fd);

/* Rings. It waits while the eventfd is full and blocking: the system has no write to an eventfd
 * that is told not to wait. doorbells.h says who frees whoever is caught by that. */
void dx_doorbell_write(int fd);

/* Is there no room for another ring? That takes 2^64 - 2 rings: somebody has filled it. */
bool dx_doorbell_is_full(int fd);

/* Takes all rings. Never waits for one, whatever its flags are. */
void dx_doorbell_take(int fd);

#endif
