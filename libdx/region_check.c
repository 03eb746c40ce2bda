/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a file is, what is in it, and whether a name stands for it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "region.h"

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
