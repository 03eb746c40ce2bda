/* SPDX-License-Identifier: Apache-2.0 */
/* What may be sent, and what the result in an answer means. */
#include "caller.h"
#include "error.h"

dx_status dx_caller_check_request(const struct dx_channel *channel, uint32_t type, size_t bytes)
{
    size_t capacity = channel->geometry.request_capacity;
    if (bytes > capacity)
        return dx_fail(DX_ERR_REQUEST_TOO_LARGE, "a request of %zu bytes, the slot takes %zu",
                       bytes, capacity);
    if (type != DX_TYPE_PING && (type < DX_TYPE_USER || type > DX_TYPE_MAX))
        return dx_fail(DX_ERR_TYPE, "message type %u: users send %u to %u", type, DX_TYPE_USER,
                       DX_TYPE_MAX);
    return DX_OK;
}

dx_status dx_result_status(uint32_t result)
{
    switch (result) {
    case DX_RESULT_TOO_LARGE:
        return DX_ERR_RESPONSE_TOO_LARGE;
    case DX_RESULT_LOST:
        return DX_ERR_LOST;
    case DX_RESULT_CANCELLED:
        return DX_ERR_CANCELLED;
    case DX_RESULT_TYPE:
        return DX_ERR_TYPE;
    case DX_RESULT_REQUEST_TOO_LARGE:
        return DX_ERR_REQUEST_TOO_LARGE;
    default:
        return DX_ERR_CORRUPT;
    }
}
