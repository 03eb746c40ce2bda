/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm:NAME and file:PATH: a file with a name. What is new appears under its name only when all of
 * it is there. The name of shm: goes with its last host; a file that was there before a host of
 * file: came stays.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fault.h"
#include "fd.h"
#include "transport.h"

#define NAME_MAX_SHM 200u

static dx_status parse_shm(const char *name, struct dx_url *out)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_SHM || name[0] == '.')
        return dx_fail(DX_ERR_URL, "shm:%.60s: a name has 1 to %u characters and no leading dot",
                       name, NAME_MAX_SHM);
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!isalnum((unsigned char)c) && strchr("._-", c) == NULL)
            return dx_fail(DX_ERR_URL, "shm:%.60s: character %zu is not one of A-Z a-z 0-9 . _ -",
                           name, i + 1);
    }
    (void)snprintf(out->path, sizeof out->path, "/dev/shm/%s", name);
    return DX_OK;
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
    if (dx_region_check_limit(region->url.path, bytes + size.room) == DX_OK)
        (void)!ftruncate(region->fd, (off_t)(bytes + size.room)); /* it does without, too */
    status = dx_region_lock(region->fd, DX_LOCK_HOST, region->url.path);
    return status == DX_OK ? dx_region_map(region, size.bytes) : status;
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

/* What is new gets its name, and is ours, by publish. */
static dx_status create_file(struct dx_region *out, struct dx_region_size size, bool *fresh)
{
    dx_status status = open_to_take_over(out->url.path, &out->fd);
    if (status == DX_ERR_NO_PEER)
        return create_unnamed(out, size);
    if (status == DX_OK)
        status = dx_region_take_over(out, size, fresh);
    out->created = status == DX_OK && out->url.transport == &dx_transport_shm;
    return status;
}

static dx_status publish(struct dx_region *region)
{
    bool same = false;
    dx_status status = dx_region_check_name(region->url.path, region->fd, &same);
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

static dx_status attach_file(struct dx_region *out)
{
    dx_status status = open_path(out->url.path, out->read_only ? O_RDONLY : O_RDWR, &out->fd);
    return status == DX_OK ? dx_region_map_file(out) : status;
}

const struct dx_transport dx_transport_shm = {
    .scheme = "shm:",
    .usage = "shm:NAME",
    .kernels = DX_ANY_KERNEL,
    .name = DX_NAME_FILE,
    .parse = parse_shm,
    .create = create_file,
    .publish = publish,
    .attach = attach_file,
};

const struct dx_transport dx_transport_file = {
    .scheme = "file:",
    .usage = "file:PATH",
    .kernels = DX_ANY_KERNEL,
    .name = DX_NAME_FILE,
    .parse = dx_url_parse_path,
    .create = create_file,
    .publish = publish,
    .attach = attach_file,
};
