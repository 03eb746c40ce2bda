/* SPDX-License-Identifier: Apache-2.0 */
/* How a region begins and ends; what differs between transports is done by their rows. */
#include "region.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "rendezvous_link.h"
#include "transport.h"

/* False also if that cannot be told. */
static bool name_is_of(const char *path, int fd)
{
    bool same;
    return dx_region_check_name(path, fd, &same) == DX_OK && same;
}

bool dx_region_is_current(const struct dx_region *region)
{
    if (region->url.transport->name != DX_NAME_FILE)
        return true;
    return name_is_of(region->url.path, region->fd) &&
           dx_region_check_owner(region->fd, region->url.path) == DX_OK && region->offset == 0 &&
           dx_region_file_bytes(region) == region->bytes;
}

/* The same of a region that may be sealed, whose descriptor the program may have closed. */
static bool name_is_ours(const struct dx_region *region)
{
    struct stat s;
    return region->shared_nothing ? lstat(region->url.path, &s) == 0 &&
                                        s.st_dev == region->device && s.st_ino == region->inode
                                  : name_is_of(region->url.path, region->fd);
}

void dx_region_close(struct dx_region *region)
{
    struct dx_link *link = region->link;
    region->link = NULL; /* a fork finds it no more */
    dx_link_close(link); /* its thread looks at the bytes */
    /* While the lock is held nobody else can have taken the name over. */
    if (region->created && name_is_ours(region))
        (void)unlink(region->url.path);
    dx_region_unmap(region);
    if (dx_region_fd_is_ours(region))
        (void)close(region->fd);
    region->fd = -1;
}

static void begin(const struct dx_url *url, struct dx_region *out)
{
    memset(out, 0, sizeof *out);
    out->url = *url;
    out->fd = -1;
}

dx_status dx_region_create(const struct dx_url *url, struct dx_region_size size,
                           struct dx_region *out, bool *fresh)
{
    begin(url, out);
    *fresh = true;
    if (url->transport->create == NULL)
        return dx_fail(DX_ERR_URL,
                       "%s is the side of a VM, which attaches; the host takes the file behind the "
                       "device (file:PATH or shm:NAME)",
                       url->transport->scheme);
    return url->transport->create(out, size, fresh);
}

dx_status dx_region_publish(struct dx_region *region)
{
    const struct dx_transport *transport = region->url.transport;
    return transport->publish != NULL ? transport->publish(region) : DX_OK;
}

dx_status dx_region_open(const struct dx_url *url, bool read_only, struct dx_region *out)
{
    begin(url, out);
    out->read_only = read_only;
    return url->transport->attach(out);
}
