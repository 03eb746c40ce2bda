/* SPDX-License-Identifier: Apache-2.0 */
/* Several regions in one memory, one after the other, each with the locks of its place. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "region.h"
#include "rendezvous_link.h"

uint64_t dx_region_file_bytes(const struct dx_region *region)
{
    struct stat s;
    return fstat(region->fd, &s) == 0 && s.st_size > 0 ? (uint64_t)s.st_size : 0;
}

dx_status dx_region_view(struct dx_region *region, uint32_t place, uint64_t offset, uint64_t bytes)
{
    uint64_t wanted = bytes != 0 ? bytes : dx_region_file_bytes(region);
    if (region->offset == offset && region->bytes == wanted)
        return DX_OK;
    void *base =
        dx_region_map_part(region->fd, offset, wanted, region->read_only, region->page_bytes);
    if (base == NULL)
        return dx_fail_errno("%s: cannot map %llu bytes", region->url.path,
                             (unsigned long long)wanted);
    dx_region_unmap(region);
    region->base = base;
    region->bytes = wanted;
    region->offset = offset;
    region->place = place;
    return dx_region_touch(region, 0, DX_HEADER_BYTES);
}

dx_status dx_region_create_place(const struct dx_region *first, struct dx_region_size size,
                                 uint32_t place, struct dx_region *out, bool *fresh)
{
    memset(out, 0, sizeof *out);
    out->url = first->url;
    out->fd = -1;
    out->place = place;
    out->offset = size.stride * place;
    dx_status status = dx_region_reopen_fd(first->fd, first->url.path, false, &out->fd);
    if (status == DX_OK)
        status = dx_region_lock(out->fd, dx_lock_at(place, DX_LOCK_HOST), first->url.path);
    if (status == DX_ERR_BUSY)
        return dx_fail(DX_ERR_HOST_EXISTS, "%s: a living host holds place %u", first->url.path,
                       place);
    if (status == DX_OK)
        status = dx_region_map(out, size.bytes);
    if (status != DX_OK)
        return status;
    *fresh = dx_region_is_blank(out->base);
    if (first->link != NULL)
        out->link = dx_link_share(first->link);
    return DX_OK;
}
