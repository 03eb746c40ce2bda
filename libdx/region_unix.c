/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is handed over at a rendezvous. Whoever comes first as a host serves the socket and
 * makes the memory; if a daemon serves it, hosts and guests alike are its clients and the memory
 * outlives them all. Sealed, so that nobody can cut it short under the others.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "link.h"
#include "region.h"

/* Joins, and opens the memory anew, so that its locks are ours alone. */
static dx_status join(struct dx_region *region)
{
    const char *path = region->url.path;
    int memory;
    dx_status status = dx_link_join(path, region->url.greet_by_ns, &region->link, &memory);
    if (status != DX_OK)
        return status;
    int seals = fcntl(memory, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
        status =
            dx_fail(DX_ERR_PERMISSION,
                    "%s: its memory is not sealed, so that it could be cut short under us", path);
    else
        status = dx_region_reopen_fd(memory, path, region->read_only, &region->fd);
    (void)close(memory);
    return status;
}

static dx_status serve(struct dx_region *region, struct dx_region_size size)
{
    dx_status status = dx_region_create_memfd(region->url.path, size, region);
    if (status != DX_OK)
        return status;
    /* Clients are given another open file description than ours, which carries our locks. */
    int memory;
    status = dx_region_reopen_fd(region->fd, region->url.path, false, &memory);
    if (status != DX_OK)
        return status;
    return dx_link_serve(region->url.path, memory, &region->link);
}

dx_status dx_region_create_unix(struct dx_region_size size, struct dx_region *out, bool *fresh)
{
    const char *path = out->url.path;
    dx_status status = join(out);
    if (status == DX_ERR_NO_PEER) {
        *fresh = true;
        status = serve(out, size);
        return status;
    }
    if (status == DX_OK)
        status = dx_region_lock(out->fd, DX_LOCK_HOST, path);
    if (status == DX_ERR_BUSY)
        return dx_fail(DX_ERR_HOST_EXISTS,
                       "%s: a living host holds it; take another name or end that host", path);
    return status == DX_OK ? dx_region_take_over(out, size, fresh) : status;
}

dx_status dx_region_open_unix(struct dx_region *out)
{
    dx_status status = join(out);
    struct stat s;
    if (status == DX_OK && fstat(out->fd, &s) != 0)
        status = dx_fail_errno("%s: its memory cannot be examined", out->url.path);
    if (status == DX_OK && s.st_size < (off_t)DX_HEADER_BYTES)
        status = dx_fail(DX_ERR_SHORT, "%s: its memory has %lld bytes, a dx region has at least %u",
                         out->url.path, (long long)s.st_size, DX_HEADER_BYTES);
    return status == DX_OK ? dx_region_map_found(out, (uint64_t)s.st_size) : status;
}
