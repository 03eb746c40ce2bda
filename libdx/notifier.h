/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor that becomes readable when a cell of ours is rung, for event loops. The owner of the
 * cell announces a sleep as ever, and a thread of libdx sleeps in its place, by whatever the region
 * offers: futex, semaphore, doorbell. The thread looks at nothing but the cell, the clock and the
 * other side's life, so that the owner may go on with its work at any time. In the child of a fork
 * all of it does nothing, but for the end.
 */
#ifndef DX_NOTIFIER_H
#define DX_NOTIFIER_H

#include "channel.h"

struct dx_notifier;

/* Its descriptor is readable at first. The channel must outlive it. */
dx_status dx_notifier_open(struct dx_channel *channel, uint32_t cell, struct dx_notifier **out);
int dx_notifier_fd(const struct dx_notifier *notifier);

/* For the owner of the cell, who has looked and found nothing: makes the descriptor unreadable and
 * announces a sleep. Then the owner looks once more. The descriptor becomes readable again when the
 * cell is rung, when what dx_channel_check says changes, at until_ns, and, where nobody can ring
 * us, after poll_ns. */
void dx_notifier_arm(struct dx_notifier *notifier, int64_t until_ns);

/* Makes the descriptor readable. */
void dx_notifier_signal(struct dx_notifier *notifier);

/* Before the owner sleeps in the cell itself: two cannot sleep there. */
void dx_notifier_recall(struct dx_notifier *notifier);

/* NULL is allowed. */
void dx_notifier_close(struct dx_notifier *notifier);

#endif
