/* SPDX-License-Identifier: Apache-2.0 */
/* memfd: and memfd:N: memory without a name, whose descriptor a guest is given by its host. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "transport.h"

static dx_status parse_memfd(const char *number, struct dx_url *out)
{
    (void)snprintf(out->path, sizeof out->path, "memfd:%.20s", number);
    if (*number == '\0')
        return DX_OK;
    char *end;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (!isdigit((unsigned char)*number) || *end != '\0' || errno != 0 || fd > INT_MAX)
        return dx_fail(DX_ERR_URL, "memfd:%.60s: a descriptor is a number", number);
    out->fd = (int)fd;
    return DX_OK;
}

static dx_status create(struct dx_region *out, struct dx_region_size size, bool *fresh)
{
    (void)fresh;
    if (out->url.fd >= 0)
        return dx_fail(DX_ERR_URL, "memfd:%d: the host creates with memfd: and no number",
                       out->url.fd);
    uint64_t bytes = dx_region_memory_bytes(size);
    if (dx_region_check_limit("memfd:", bytes + size.room) == DX_OK)
        bytes += size.room;
    return dx_region_create_memfd("memfd:", size, bytes, out);
}

static dx_status attach_memfd(struct dx_region *out)
{
    dx_status status = dx_region_reopen_fd(out->url.fd, out->url.path, out->read_only, &out->fd);
    return status == DX_OK ? dx_region_map_file(out) : status;
}

const struct dx_transport dx_transport_memfd = {
    .scheme = "memfd:",
    .usage = "memfd:",
    .kernels = DX_SAME_KERNEL,
    .name = DX_NAME_NONE,
    .parse = parse_memfd,
    .create = create,
    .attach = attach_memfd,
};
