/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One eventfd that others share with us. They can change its flags and its count at any time, also
 * between two system calls of ours, and may have sent something else in its place.
 */
#ifndef DX_DOORBELL_H
#define DX_DOORBELL_H

#include <stdbool.h>

/* Is it an eventfd? Write to nothing else, and wait for nothing else: a pipe, for example, can end
 * our process by SIGPIPE. If the result is false, errno is 0, or says why that cannot be found out.
 */
bool dx_doorbell_is_one(int fd);

/* Has nobody made it blocking? */
bool dx_doorbell_is_unblocked(int fd);

/* Makes it non-blocking, for all who share it. */
void dx_doorbell_unblock(int fd);

/* Rings. It waits while the eventfd is full and blocking: Linux has no write to an eventfd that is
 * told not to wait. doorbell_set.h says which thread frees a thread that waits there. */
void dx_doorbell_write(int fd);

/* Is there no room for another ring? That takes 2^64 - 2 rings: somebody has filled it. */
bool dx_doorbell_is_full(int fd);

/* Takes all rings. Never waits for one, whatever its flags are. */
void dx_doorbell_take(int fd);

#endif
