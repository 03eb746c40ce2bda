/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that does nothing but ring gets a slow listener and not a busy CPU. Its rings are of use
 * if a wait of this process then finds news. That is counted in memory of our own, because the peer
 * can write what it likes into shared memory.
 */
#ifndef DX_WAIT_BRAKE_H
#define DX_WAIT_BRAKE_H

#include <stdint.h>

#include "dx_protocol.h"

struct dx_brake {
    uint64_t found; /* news, at the last look */
    uint32_t rings; /* that are still heard at once */
    int64_t pause_ns;
};

#define DX_BRAKE_INIT                                                                              \
    {                                                                                              \
        .rings = DX_BRAKE_RINGS_MAX                                                                \
    }

/* After a ring: how long to sleep before the next one is listened for, mostly 0. found is how often
 * waits of this process have found news. One thread at a time. */
int64_t dx_brake_pause_ns(struct dx_brake *brake, uint64_t found);

#endif
