/* SPDX-License-Identifier: Apache-2.0 */
/* Unnamed memory: nothing to clean up, nothing to squat on. Sealed, so that neither side can cut
 * it short under the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"
#include "region.h"

/* A descriptor that was inherited or passed shares its open file description, and with it its
 * locks. Opened anew it has locks of its own. */
dx_status dx_region_reopen_fd(int fd, const char *name, bool read_only, int *out)
{
    if (fd < 0)
        return dx_fail(DX_ERR_URL, "memfd: the guest needs the descriptor's number: memfd:N");
    if (fcntl(fd, F_GETFD) < 0)
        return dx_fail_errno("memfd:%d: no such descriptor; was it inherited?", fd);
    dx_status status = dx_region_check_owner(fd, name);
    if (status != DX_OK)
        return status;
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    *out = dx_fd_open(self, read_only ? O_RDONLY : O_RDWR);
    return *out >= 0 ? DX_OK : dx_fail_errno("memfd:%d: cannot be opened anew", fd);
}

dx_status dx_region_create_memfd(const char *name, struct dx_region_size size, uint64_t length,
                                 struct dx_region *out)
{
    uint64_t bytes = dx_region_memory_bytes(size);
    int fd = dx_fd_memfd();
    if (fd < 0)
        return dx_fail_errno("%s: no memory can be had", name);
    dx_status status = dx_region_check_limit(name, length);
    if (status == DX_OK)
        status = dx_region_reserve(fd, name, 0, bytes, true);
    if (status == DX_OK && (ftruncate(fd, (off_t)length) != 0 || fchmod(fd, 0600) != 0 ||
                            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0))
        status = dx_fail_errno("%s: cannot be sealed", name);
    if (status == DX_OK)
        status = dx_region_reopen_fd(fd, name, false, &out->fd);
    (void)close(fd);
    if (status != DX_OK)
        return status;
    status = dx_region_lock(out->fd, DX_LOCK_HOST, name);
    return status == DX_OK ? dx_region_map(out, size.bytes) : status;
}
