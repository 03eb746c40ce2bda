/* SPDX-License-Identifier: Apache-2.0 */
/* How a channel is stopped and closed. */
#include "atomic.h"
#include "channel.h"
#include "error.h"
#include "serve_later.h"
#include "serving.h"

void dx_stop(struct dx_channel *c)
{
    if (dx_channel_forked(c))
        return;
    /* S1 <-> S2: before the look at our own sleepers, as a caller's word is. */
    dx_store_seqcst(&c->stopping, 1u);
    if (!c->observer) /* which has no sleepers, and may not write */
        dx_channel_ring_all(c, c->side);
}

dx_status dx_close(struct dx_channel *c)
{
    if (c == NULL)
        return DX_OK;
    if (dx_channel_forked(c)) {
        dx_later_end(c);
        dx_channel_destroy(c);
        return DX_OK;
    }
    (void)pthread_mutex_lock(&c->lock);
    uint32_t callers = c->callers_open;
    (void)pthread_mutex_unlock(&c->lock);
    /* Relaxed: whoever closes has joined the serving thread, or is told that it runs. */
    bool served = dx_load_relaxed(&c->serving) != 0 && !dx_serving_mend(c);
    if (callers != 0 || served)
        return dx_fail(DX_ERR_BUSY, "cannot close: %u callers are open and dx_serve %s", callers,
                       served ? "runs" : "does not run");
    dx_later_end(c);
    if (!c->observer)
        dx_session_end(c);
    dx_channel_destroy(c);
    return DX_OK;
}
