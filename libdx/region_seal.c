/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a region's locks. An open-file-description lock belongs to a description, which a
 * forked child shares through its copies of the descriptor and of the mapping, and which whoever
 * inherits the descriptor on purpose shares likewise (memfd:). A sealed region's description is
 * held by the mapping alone, and that is not inherited. The descriptor that is left, of another
 * description, is for looking at the locks of others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"
#include "fork.h"
#include "transport.h"

bool dx_region_is_file(const struct dx_region *region, int fd)
{
    struct stat s;
    return fd >= 0 && fstat(fd, &s) == 0 && s.st_dev == region->device && s.st_ino == region->inode;
}

bool dx_region_fd_is_ours(const struct dx_region *region)
{
    return region->fd >= 0 && (!region->shared_nothing || dx_region_is_file(region, region->fd));
}

int dx_region_open_name(const struct dx_region *region)
{
    const struct dx_transport *transport = region->url.transport;
    if (transport->name != DX_NAME_FILE && transport->kernels != DX_OTHER_KERNEL)
        return -1;
    int flags = region->read_only ? O_RDONLY : O_RDWR;
    int fd = dx_fd_open(region->url.path, flags | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || dx_region_is_file(region, fd))
        return fd;
    (void)close(fd);
    return -1;
}

/* The same file under a description of its own; -1, and errno says why. */
static int open_anew(const struct dx_region *region)
{
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", region->fd);
    int fd = dx_fd_open(self, region->read_only ? O_RDONLY : O_RDWR);
    /* /proc is not mounted, or not to be read. */
    return fd >= 0 || (errno != ENOENT && errno != EACCES) ? fd : dx_region_open_name(region);
}

/* A lock that stops nobody, by which "dx info" tells whose descriptor this is. */
static void leave_hints(int old_fd, int fd, uint32_t place)
{
    static const enum dx_lock locks[] = {DX_LOCK_HOST, DX_LOCK_GUEST};
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
        if (!dx_region_lock_held(old_fd, dx_lock_at(place, locks[i])) &&
            dx_region_lock_held(fd, dx_lock_at(place, locks[i])))
            dx_region_lock_hint(fd, dx_lock_at(place, locks[i]));
}

dx_status dx_region_seal(struct dx_region *region)
{
    struct stat s;
    if (fstat(region->fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", region->url.path);
    region->device = s.st_dev;
    region->inode = s.st_ino;
    int fd = open_anew(region);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return dx_fail_errno("%s: cannot be opened a second time", region->url.path);
    if (fd < 0)
        return DX_OK;
    leave_hints(region->fd, fd, region->place);
    dx_fork_replace(&region->fd, fd, &region->shared_nothing);
    return DX_OK;
}

enum dx_lock_look dx_region_lock_look(const struct dx_region *region, uint32_t which)
{
    enum dx_lock_look look = dx_region_lock_look_by(region->fd, which);
    if (look == DX_LOCK_HELD || (look == DX_LOCK_FREE && dx_region_fd_is_ours(region)))
        return look;
    int fd = dx_region_open_name(region);
    look = fd >= 0 ? dx_region_lock_look_by(fd, which) : DX_LOCK_UNSEEN;
    if (fd >= 0)
        (void)close(fd);
    return look;
}
