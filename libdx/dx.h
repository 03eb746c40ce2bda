/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libdx: the direct-exchange channel.
 *
 * Two programs exchange requests and responses through shared memory. The *host* creates a
 * region, the *guest* attaches to it. A region holds *slots*; whoever calls holds one slot (a
 * struct dx_caller) and has at most one call in flight on it. One or more serving threads of the
 * other side answer all slots. While calls follow each other, no call makes a system call, takes
 * a lock or reads a clock: a round trip costs about what two transfers of a cache line cost. When
 * nothing comes, each side waits as its *wait strategy* says: spin, yield, park.
 *
 *   host:  dx_create  -> dx_caller_open -> dx_call ...        -> dx_caller_close -> dx_close
 *   guest: dx_attach  -> dx_serve(handler) ... until dx_stop  -> dx_close
 *
 * Roles are symmetric where it matters: with guest_slots > 0 the guest calls and the host serves.
 *
 * Units: times are int64_t nanoseconds on the monotonic clock, sizes are size_t bytes.
 * Errors: every function that can fail returns a dx_status; dx_last_error() adds the detail.
 */
#ifndef DX_H
#define DX_H

#include "dx_caller.h"
#include "dx_channel.h"
#include "dx_device.h"
#include "dx_serve.h"
#include "dx_stats.h"
#include "dx_status.h"
#include "dx_stream.h"
#include "dx_version.h"
#include "dx_wait.h"

#endif
