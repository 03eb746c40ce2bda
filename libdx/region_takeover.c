/* SPDX-License-Identifier: Apache-2.0 */
/* What a host may take over: memory that was never used, or that of a dead host. */
#include <sys/stat.h>

#include "error.h"
#include "liveness_heartbeat.h"
#include "region.h"

static const struct dx_peer_lines *peers_of(const struct dx_region *region)
{
    return (const void *)((const char *)region->base + sizeof(struct dx_header));
}

/* A dead host's region may grow, but under a guest that still has it nothing changes. */
static dx_status check_guests(struct dx_region *region, uint64_t size, uint64_t bytes)
{
    dx_status status = dx_region_map(region, DX_HEADER_BYTES);
    if (status != DX_OK)
        return status;
    status = dx_region_lock_out_guests(region->fd, region->url.path);
    if (status == DX_OK && !dx_heartbeat_absent(&peers_of(region)[DX_GUEST], DX_PEER_TIMEOUT_NS))
        status = DX_ERR_BUSY;
    dx_region_unmap(region);
    return status != DX_ERR_BUSY
               ? status
               : dx_fail(DX_ERR_GUEST_EXISTS,
                         "%s: its host is dead, but a guest is still attached to its %llu bytes "
                         "and %llu are needed: end that guest or take the same sizes",
                         region->url.path, (unsigned long long)size, (unsigned long long)bytes);
}

/* Is it ours to use, by what is in it? Nothing is changed and nothing is mapped: reading a file
 * asks for no memory. */
static dx_status check_content(const struct dx_region *region, bool *fresh)
{
    bool is_dx = false;
    *fresh = false;
    dx_status status = dx_region_check_dx(region->fd, region->url.path, &is_dx);
    if (status != DX_OK || is_dx)
        return status;
    status = dx_region_check_blank(region->fd, region->url.path, fresh);
    if (status == DX_OK && !*fresh)
        status = dx_fail(DX_ERR_NOT_DX,
                         "%s: exists and is not a dx region, nor all zero; it is left as it was",
                         region->url.path);
    return status;
}

dx_status dx_region_take_over(struct dx_region *region, struct dx_region_size wanted, bool *fresh)
{
    uint64_t bytes = dx_region_memory_bytes(wanted);
    const char *path = region->url.path;
    struct stat s;
    if (fstat(region->fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    uint64_t size = (uint64_t)s.st_size;
    dx_status status = DX_OK;
    if (size >= DX_HEADER_BYTES)
        status = check_content(region, fresh);
    if (size < DX_HEADER_BYTES || (status == DX_OK && *fresh && size < bytes))
        return dx_fail(DX_ERR_SHORT, "%s: has %llu bytes, %llu are needed; it is left as it was",
                       path, (unsigned long long)size, (unsigned long long)bytes);
    if (status == DX_OK && size < bytes)
        status = check_guests(region, size, bytes);
    if (status == DX_OK)
        status = dx_region_reserve(region->fd, path, 0, bytes, *fresh);
    return status == DX_OK ? dx_region_map(region, wanted.bytes) : status;
}
