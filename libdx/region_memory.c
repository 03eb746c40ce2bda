/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a region's file, before they are touched: whose they are, whether they can be had,
 * and how they are mapped. A page of a file that is not there when it is touched ends the process
 * by SIGBUS, so that all pages are reserved first, in new files and in those that exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "error.h"
#include "fork.h"
#include "region.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

#define HUGETLBFS 0x958458f6u /* linux/magic.h */
#define CHUNK_BYTES 65536u
/* A signal costs what was reserved of one piece: some kernels begin it anew. */
#define PIECE_BYTES (64ull << 20)
#define PIECE_BYTES_MIN (64ull << 10)

bool dx_region_next_data(int fd, uint64_t *from, uint64_t *to, uint64_t end)
{
    if (*from >= end)
        return false;
    off_t data = lseek(fd, (off_t)*from, SEEK_DATA);
    if (data < 0 && errno == ENXIO)
        return false;
    off_t hole = data >= 0 ? lseek(fd, data, SEEK_HOLE) : -1;
    /* A file system that knows of no holes: all is data. */
    *from = data >= 0 ? (uint64_t)data : *from;
    *to = hole > data && (uint64_t)hole < end ? (uint64_t)hole : end;
    return *from < end;
}

/* Are these bytes all zero? 1, 0, or -1 with errno. What is not there any more counts as zero. */
static int are_zero(int fd, uint64_t from, uint64_t to, char *chunk)
{
    while (from < to) {
        size_t wanted = to - from < CHUNK_BYTES ? (size_t)(to - from) : CHUNK_BYTES;
        ssize_t got = pread(fd, chunk, wanted, (off_t)from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? 1 : -1;
        if (chunk[0] != 0 || memcmp(chunk, chunk + 1, (size_t)got - 1) != 0)
            return 0;
        from += (uint64_t)got;
    }
    return 1;
}

dx_status dx_region_check_blank(int fd, const char *path, bool *blank)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    char *chunk = malloc(CHUNK_BYTES);
    if (chunk == NULL)
        return dx_fail(DX_ERR_SYSTEM, "%s: no memory to examine it", path);
    int zero = 1;
    uint64_t to;
    for (uint64_t from = 0; zero == 1; from = to) {
        if (!dx_region_next_data(fd, &from, &to, (uint64_t)s.st_size))
            break;
        zero = are_zero(fd, from, to, chunk);
    }
    dx_status status = zero < 0 ? dx_fail_errno("%s: cannot be read", path) : DX_OK;
    free(chunk);
    *blank = zero == 1;
    return status;
}

dx_status dx_region_check_limit(const char *path, uint64_t bytes)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        bytes <= limit.rlim_cur)
        return DX_OK;
    return dx_fail(DX_ERR_SYSTEM,
                   "%s: RLIMIT_FSIZE (ulimit -f) allows this process files of %llu bytes, %llu are "
                   "needed",
                   path, (unsigned long long)limit.rlim_cur, (unsigned long long)bytes);
}

bool dx_region_write_zeros(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[CHUNK_BYTES];
    while (from < to) {
        size_t chunk = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        ssize_t written = pwrite(fd, zeros, chunk, (off_t)from);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        from += (uint64_t)written;
    }
    return true;
}

/* 0 or errno. */
static int allocate(int fd, uint64_t from, uint64_t to)
{
    uint64_t piece = PIECE_BYTES;
    while (from < to) {
        uint64_t bytes = to - from < piece ? to - from : piece;
        if (fallocate(fd, 0, (off_t)from, (off_t)bytes) == 0)
            from += bytes;
        else if (errno != EINTR)
            return errno;
        else if (piece > PIECE_BYTES_MIN)
            piece /= 2; /* so that some piece is done between two signals */
    }
    return 0;
}

dx_status dx_region_reserve(int fd, const char *path, uint64_t from, uint64_t to, bool blank)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    uint64_t size = (uint64_t)s.st_size;
    dx_status status = to > size ? dx_region_check_limit(path, to) : DX_OK;
    if (status != DX_OK)
        return status;
    int failed = allocate(fd, from, to);
    /* Zeros are written where a file system cannot reserve. Bytes that may be in use are not: there
     * another process could lose what it stores at that moment. */
    if (failed == EOPNOTSUPP || failed == ENOSYS) {
        uint64_t first = blank || size < from ? from : size;
        status = first < to ? dx_region_check_limit(path, to) : DX_OK;
        if (status != DX_OK)
            return status;
        failed = dx_region_write_zeros(fd, first, to) ? 0 : errno;
    }
    if (failed == 0)
        return DX_OK;
    /* What was had of it goes back. */
    if (to > size)
        (void)!ftruncate(fd, s.st_size);
    if (blank)
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                        (off_t)(to - from));
    errno = failed;
    return dx_fail_errno("%s: no room for %llu bytes", path, (unsigned long long)(to - from));
}

dx_status dx_region_touch(const struct dx_region *region, uint64_t from, uint64_t bytes)
{
    return dx_region_touch_at(region, (char *)region->base + from, bytes);
}

dx_status dx_region_touch_at(const struct dx_region *region, void *mapped, uint64_t bytes)
{
    char *at = mapped;
    uint64_t skip = (uintptr_t)at % region->page_bytes;
    /* EINVAL: an older kernel, which cannot say it. */
    if (madvise(at - skip, bytes + skip, MADV_POPULATE_READ) == 0 || errno != EFAULT)
        return DX_OK;
    return dx_fail(DX_ERR_SYSTEM,
                   "%s: its pages are not there and cannot be had: its file system is full, or it "
                   "was cut short",
                   region->url.path);
}

uint64_t dx_region_page_bytes(int fd)
{
    struct statfs s;
    if (fstatfs(fd, &s) == 0 && (uint32_t)s.f_type == HUGETLBFS && s.f_bsize > 0)
        return (uint64_t)s.f_bsize;
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* How much of a mapping lies before what was asked for, and its length: a mapping begins at a page
 * of its file, and one of huge pages is unmapped by whole pages only. */
static uint64_t span(uint64_t offset, uint64_t bytes, uint64_t page, uint64_t *before)
{
    *before = offset % page;
    return (*before + bytes + page - 1) / page * page;
}

void *dx_region_map_part(int fd, uint64_t offset, uint64_t bytes, bool read_only, uint64_t page)
{
    uint64_t before;
    uint64_t length = span(offset, bytes, page, &before);
    char *at =
        dx_fork_map(length, read_only ? PROT_READ : PROT_READ | PROT_WRITE, fd, offset - before);
    return at != MAP_FAILED ? at + before : NULL;
}

void dx_region_unmap_part(void *at, uint64_t offset, uint64_t bytes, uint64_t page)
{
    if (at == NULL)
        return;
    uint64_t before;
    uint64_t length = span(offset, bytes, page, &before);
    (void)munmap((char *)at - before, length);
}

dx_status dx_region_map(struct dx_region *region, uint64_t bytes)
{
    region->page_bytes = dx_region_page_bytes(region->fd);
    void *base = dx_region_map_part(region->fd, region->offset, bytes, region->read_only,
                                    region->page_bytes);
    if (base == NULL)
        return dx_fail_errno("%s: cannot map %llu bytes", region->url.path,
                             (unsigned long long)bytes);
    region->base = base;
    region->bytes = bytes;
    return DX_OK;
}

dx_status dx_region_map_found(struct dx_region *region, uint64_t bytes)
{
    dx_status status = dx_region_map(region, bytes);
    return status == DX_OK ? dx_region_touch(region, 0, DX_HEADER_BYTES) : status;
}

dx_status dx_region_map_file(struct dx_region *region)
{
    struct stat s;
    const char *path = region->url.path;
    if (fstat(region->fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    if (s.st_size < (off_t)DX_HEADER_BYTES)
        return dx_fail(DX_ERR_SHORT, "%s: has %lld bytes, a dx region has at least %u", path,
                       (long long)s.st_size, DX_HEADER_BYTES);
    return dx_region_map_found(region, (uint64_t)s.st_size);
}

void *dx_region_pages(const struct dx_region *region, uint64_t *bytes)
{
    uint64_t before;
    *bytes = span(region->offset, region->bytes, region->page_bytes, &before);
    return (char *)region->base - before;
}

void dx_region_unmap(struct dx_region *region)
{
    dx_region_unmap_part(region->base, region->offset, region->bytes, region->page_bytes);
    region->base = NULL;
}
