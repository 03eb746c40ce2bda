/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that frees whoever rings an eventfd that was filled and made blocking. */
#ifndef DX_DOORBELLS_GUARD_H
#define DX_DOORBELLS_GUARD_H

struct dx_doorbell;
struct dx_doorbells;

/* Gives up a bell that was held. Hold the lock of its table. */
void dx_doorbell_release(struct dx_doorbell *bell);

/* Ends the thread, if there is one. */
void dx_doorbells_unguard(struct dx_doorbells *d);

#endif
