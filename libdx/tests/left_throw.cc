/* SPDX-License-Identifier: Apache-2.0 */
/* The part in C++ of unit_serve_throws: an exception, and a caller of dx_serve that catches it. */
#include <stdexcept>

#include "dx.h"

extern "C" {
void left_throw(void);
dx_status left_serve_and_catch(struct dx_channel *channel, dx_handler handler, void *user,
                               const struct dx_serve_options *options, bool *caught);
}

void left_throw(void)
{
    throw std::runtime_error("from a handler");
}

dx_status left_serve_and_catch(struct dx_channel *channel, dx_handler handler, void *user,
                               const struct dx_serve_options *options, bool *caught)
{
    *caught = false;
    try {
        return dx_serve(channel, handler, user, options);
    } catch (const std::runtime_error &) {
        *caught = true;
        return DX_OK;
    }
}
