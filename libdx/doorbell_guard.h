/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that frees whoever rings an eventfd that was filled and made blocking. */
#ifndef DX_DOORBELL_GUARD_H
#define DX_DOORBELL_GUARD_H

struct dx_doorbells;

/* Ends the thread, if there is one. Before dx_doorbells_close. */
void dx_doorbells_unguard(struct dx_doorbells *d);

#endif
