/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix:PATH: memory that is handed over at a rendezvous. Whoever comes first as a host serves the
 * socket and makes the memory; if a daemon serves it, hosts and guests alike are its clients and
 * the memory outlives them all. Sealed, so that nobody can cut it short under the others.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "rendezvous_link.h"
#include "transport.h"

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

/* What QEMU can make a PCI device's memory: a power of two. */
static uint64_t device_bytes(uint64_t bytes)
{
    uint64_t power = 1;
    while (power < bytes)
        power *= 2;
    return power;
}

static dx_status serve(struct dx_region *region, struct dx_region_size size)
{
    /* A VM may join. What lies after the region is never written and costs nothing. */
    uint64_t bytes = dx_region_memory_bytes(size);
    uint64_t length = device_bytes(bytes + size.room);
    if (dx_region_check_limit(region->url.path, length) != DX_OK)
        length = device_bytes(bytes);
    dx_status status = dx_region_create_memfd(region->url.path, size, length, region);
    if (status != DX_OK)
        return status;
    /* Clients are given another open file description than ours, which carries our locks. */
    int memory;
    status = dx_region_reopen_fd(region->fd, region->url.path, false, &memory);
    if (status != DX_OK)
        return status;
    return dx_link_serve(region->url.path, memory, &region->link);
}

static dx_status create(struct dx_region *out, struct dx_region_size size, bool *fresh)
{
    const char *path = out->url.path;
    dx_status status = join(out);
    if (status == DX_ERR_NO_PEER)
        return serve(out, size);
    if (status == DX_OK)
        status = dx_region_lock(out->fd, DX_LOCK_HOST, path);
    if (status == DX_ERR_BUSY)
        return dx_fail(DX_ERR_HOST_EXISTS,
                       "%s: a living host holds it; take another name or end that host", path);
    return status == DX_OK ? dx_region_take_over(out, size, fresh) : status;
}

static dx_status publish(struct dx_region *region)
{
    return dx_link_publish(region->link);
}

static dx_status attach_unix(struct dx_region *out)
{
    dx_status status = join(out);
    return status == DX_OK ? dx_region_map_file(out) : status;
}

const struct dx_transport dx_transport_unix = {
    .scheme = "unix:",
    .usage = "unix:PATH",
    .kernels = DX_ANY_KERNEL,
    .name = DX_NAME_SOCKET,
    .parse = dx_url_parse_path,
    .create = create,
    .publish = publish,
    .attach = attach_unix,
};
