/* SPDX-License-Identifier: Apache-2.0 */
#include "region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fault.h"
#include "fd.h"
#include "fork.h"
#include "heartbeat.h"
#include "link.h"

dx_status dx_region_check_owner(int fd, const char *path)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    if (!S_ISREG(s.st_mode))
        return dx_fail(DX_ERR_PERMISSION, "%s: not a regular file", path);
    if (s.st_uid != geteuid())
        return dx_fail(DX_ERR_PERMISSION, "%s: belongs to user %u, we are user %u", path,
                       (unsigned)s.st_uid, (unsigned)geteuid());
    if (s.st_nlink > 1)
        return dx_fail(DX_ERR_PERMISSION,
                       "%s: has %lu names, so that it may be another file than it seems", path,
                       (unsigned long)s.st_nlink);
    if ((s.st_mode & 077) != 0)
        return dx_fail(DX_ERR_PERMISSION,
                       "%s: mode %04o lets other users in; chmod 600 it if they were meant to be "
                       "kept out",
                       path, (unsigned)(s.st_mode & 07777));
    return DX_OK;
}

dx_status dx_region_check_name(const char *path, int fd, bool *same)
{
    struct stat by_name;
    struct stat by_fd;
    *same = false;
    if (fstat(fd, &by_fd) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    if (lstat(path, &by_name) == 0)
        *same = by_name.st_dev == by_fd.st_dev && by_name.st_ino == by_fd.st_ino;
    else if (errno != ENOENT)
        return dx_fail_errno("%s: its name cannot be examined", path);
    return DX_OK;
}

/* False also if that cannot be told. */
static bool name_is_of(const char *path, int fd)
{
    bool same;
    return dx_region_check_name(path, fd, &same) == DX_OK && same;
}

bool dx_region_is_current(const struct dx_region *region)
{
    if (region->url.kind != DX_REGION_SHM && region->url.kind != DX_REGION_FILE)
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

static dx_status open_path(const char *path, int flags, int *fd)
{
    /* An open that fails costs more than this: whoever waits for a host looks again and again. */
    struct stat s;
    *fd = -1;
    if (lstat(path, &s) == 0 || errno != ENOENT)
        *fd = dx_fd_open(path, flags | O_NOFOLLOW | O_NONBLOCK);
    if (*fd >= 0)
        return dx_region_check_owner(*fd, path);
    if (errno == ENOENT)
        return dx_fail(DX_ERR_NO_PEER, "%s: nothing there; is the host running?", path);
    if (errno == ELOOP)
        return dx_fail(DX_ERR_PERMISSION, "%s: a symbolic link, which is never followed", path);
    return dx_fail_errno("%s: cannot be opened", path);
}

static dx_status create_unnamed(struct dx_region *region, struct dx_region_size size)
{
    uint64_t bytes = dx_region_memory_bytes(size);
    const char *directory = dx_region_folder(region);
    region->fd = dx_fd_open(directory, O_TMPFILE | O_RDWR);
    if (region->fd < 0)
        return dx_fail_errno("%s: cannot create a file in %s (if its file system has no unnamed "
                             "files, create it first: truncate -s %llu)",
                             region->url.path, directory, (unsigned long long)bytes);
    /* Whatever the umask says. */
    if (fchmod(region->fd, 0600) != 0)
        return dx_fail_errno("%s: cannot be closed to others", region->url.path);
    dx_status status = dx_region_reserve(region->fd, region->url.path, 0, bytes, true);
    if (status != DX_OK)
        return status;
    status = dx_region_lock(region->fd, DX_LOCK_HOST, region->url.path);
    return status == DX_OK ? dx_region_map(region, size.bytes) : status;
}

bool dx_region_is_blank(const void *base)
{
    static const char zeros[DX_HEADER_BYTES];
    return memcmp(base, zeros, sizeof zeros) == 0;
}

dx_status dx_region_check_dx(int fd, const char *path, bool *is_dx)
{
    uint64_t magic = 0;
    size_t have = 0;
    ssize_t got = 1;
    while (have < sizeof magic && got > 0) {
        got = pread(fd, (char *)&magic + have, sizeof magic - have, (off_t)have);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            have += (size_t)got;
    }
    if (got < 0)
        return dx_fail_errno("%s: cannot be read", path);
    *is_dx = magic == DX_MAGIC || magic == DX_MAGIC_REBUILDING;
    return DX_OK;
}

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

/* Opens what exists and takes the host's lock. */
static dx_status open_to_take_over(const char *path, int *fd)
{
    for (;;) {
        bool same = false;
        dx_status status = open_path(path, O_RDWR, fd);
        if (status == DX_OK)
            status = dx_region_lock(*fd, DX_LOCK_HOST, path);
        if (status == DX_OK)
            status = dx_region_check_name(path, *fd, &same);
        if (status == DX_ERR_BUSY)
            return dx_fail(DX_ERR_HOST_EXISTS,
                           "%s: a living host holds it; take another name or end that host", path);
        if (status != DX_OK || same)
            return status;
        /* Its last host removed it between our open and our lock. */
        (void)close(*fd);
        *fd = -1;
    }
}

dx_status dx_region_create(const struct dx_url *url, struct dx_region_size size,
                           struct dx_region *out, bool *fresh)
{
    memset(out, 0, sizeof *out);
    out->url = *url;
    out->fd = -1;
    *fresh = true;
    if (url->kind == DX_REGION_IVSHMEM)
        return dx_fail(DX_ERR_URL,
                       "ivshmem: is the side of a VM, which attaches; the host takes the "
                       "file behind the device (file:PATH or shm:NAME)");
    if (url->kind == DX_REGION_MEMFD)
        return dx_region_create_memfd("memfd:", size, out);
    if (url->kind == DX_REGION_UNIX)
        return dx_region_create_unix(size, out, fresh);
    dx_status status = open_to_take_over(url->path, &out->fd);
    if (status == DX_ERR_NO_PEER)
        return create_unnamed(out, size);
    if (status != DX_OK)
        return status;
    status = dx_region_take_over(out, size, fresh);
    out->created = status == DX_OK && url->kind == DX_REGION_SHM;
    return status;
}

dx_status dx_region_publish(struct dx_region *region)
{
    if (region->link != NULL)
        return dx_link_publish(region->link);
    bool same = region->url.kind == DX_REGION_MEMFD;
    dx_status status = same ? DX_OK : dx_region_check_name(region->url.path, region->fd, &same);
    if (status != DX_OK || same)
        return status;
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", region->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, region->url.path, AT_SYMLINK_FOLLOW) == 0) {
        DX_FAULT(HOST_NAMED);
        region->created = true;
        return DX_OK;
    }
    if (errno == EEXIST)
        return dx_fail(DX_ERR_HOST_EXISTS, "%s: another host took the name just now",
                       region->url.path);
    return dx_fail_errno("%s: cannot be given its name", region->url.path);
}

dx_status dx_region_open(const struct dx_url *url, bool read_only, struct dx_region *out)
{
    memset(out, 0, sizeof *out);
    out->url = *url;
    out->fd = -1;
    out->read_only = read_only;
    if (url->kind == DX_REGION_UNIX)
        return dx_region_open_unix(out);
    if (url->kind == DX_REGION_IVSHMEM)
        return dx_region_open_ivshmem(out);
    dx_status status = url->kind == DX_REGION_MEMFD
                           ? dx_region_reopen_fd(url->fd, url->path, read_only, &out->fd)
                           : open_path(url->path, read_only ? O_RDONLY : O_RDWR, &out->fd);
    if (status != DX_OK)
        return status;
    struct stat s;
    if (fstat(out->fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", url->path);
    if (s.st_size < (off_t)DX_HEADER_BYTES)
        return dx_fail(DX_ERR_SHORT, "%s: has %lld bytes, a dx region has at least %u", url->path,
                       (long long)s.st_size, DX_HEADER_BYTES);
    return dx_region_map_found(out, (uint64_t)s.st_size);
}
