/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * All public headers at once, and what libdx is.
 *
 * Two programs exchange requests and responses through shared memory. The *host* creates a
 * region, the *guest* attaches to it. A region holds *slots*; whoever calls holds one slot (a
 * struct dx_caller) and has at most one call in flight on it. One or more serving threads of the
 * other side answer all slots. While calls follow each other, no call makes a system call, takes
 * a lock or reads a clock: a round trip costs about what two transfers of a cache line cost. When
 * nothing comes, each side waits as its *wait strategy* says: spin, yield, park.
 *
 * @code{.unparsed}
 *   host:  dx_create -> dx_caller_open -> dx_call ... -> dx_caller_close -> dx_close
 *   guest: dx_attach -> dx_serve(handler) ... until dx_stop -> dx_close
 * @endcode
 *
 * Roles are symmetric where it matters: with guest_slots > 0 the guest calls and the host serves.
 *
 * Units: times are int64_t nanoseconds on the monotonic clock, sizes are size_t bytes.
 *
 * Errors: every function that can fail returns a dx_status; DX_OK (0) is success. dx_last_error()
 * adds the detail.
 *
 * The headers, each of which explains its subject first: dx_channel.h, dx_peer.h, dx_caller.h,
 * dx_queue.h, dx_serve.h, dx_answer.h, dx_stream.h, dx_stream_loop.h, dx_wait.h, dx_stats.h,
 * dx_histogram.h, dx_status.h, dx_device.h and dx_version.h. dx_native.h is for authors of
 * bindings.
 */
/**
 * @mainpage libdx, the direct-exchange channel
 * @copydetails dx.h
 */
#ifndef DX_H
#define DX_H

#include "dx_answer.h"
#include "dx_caller.h"
#include "dx_channel.h"
#include "dx_device.h"
#include "dx_histogram.h"
#include "dx_peer.h"
#include "dx_queue.h"
#include "dx_serve.h"
#include "dx_server.h"
#include "dx_stats.h"
#include "dx_status.h"
#include "dx_stream.h"
#include "dx_stream_loop.h"
#include "dx_version.h"
#include "dx_wait.h"

#endif
