/* SPDX-License-Identifier: Apache-2.0 */
/* Files for tests of regions: made to order, and compared with what they were. */
#ifndef DX_TEST_FILES_H
#define DX_TEST_FILES_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "layout.h"
#include "test.h"

/* A file of so many bytes of one value, mode 0600. */
static inline void make_file(const char *path, size_t bytes, int value)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t done = 0; done < bytes;) {
        unsigned char chunk[4096];
        size_t now = bytes - done < sizeof chunk ? bytes - done : sizeof chunk;
        memset(chunk, value, sizeof chunk);
        assert_int_equal(write(fd, chunk, now), now);
        done += now;
    }
    assert_int_equal(fchmod(fd, 0600), 0);
    (void)close(fd);
}

/* Overwrites some bytes of a file. */
static inline void patch_file(const char *path, off_t offset, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, count, offset), count);
    (void)close(fd);
}

/* What a name stands for: the link or file itself, and its bytes if it is a regular file. */
struct snapshot {
    struct stat stat;
    unsigned char *bytes;
};

static inline struct snapshot take_snapshot(const char *path)
{
    struct snapshot s = {.bytes = NULL};
    assert_int_equal(lstat(path, &s.stat), 0);
    if (!S_ISREG(s.stat.st_mode))
        return s;
    s.bytes = malloc((size_t)s.stat.st_size + 1);
    assert_non_null(s.bytes);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, s.bytes, (size_t)s.stat.st_size), s.stat.st_size);
    (void)close(fd);
    /* Heartbeats advance whoever looks on, and a host that finds noise for a guest parks as it can.
     */
    for (size_t at = sizeof(struct dx_header);
         at < sizeof(struct dx_header) + 2 * sizeof(struct dx_peer_lines);
         at += sizeof(struct dx_peer_lines))
        if (s.stat.st_size >= (off_t)DX_HEADER_BYTES) {
            memset(s.bytes + at + offsetof(struct dx_peer_lines, heartbeat), 0, sizeof(uint64_t));
            memset(s.bytes + at + offsetof(struct dx_peer_lines, park), 0, sizeof(uint32_t));
        }
    return s;
}

/* Compares and frees the older one. */
static inline void assert_untouched(const char *path, struct snapshot *before)
{
    struct snapshot now = take_snapshot(path);
    bool same =
        now.stat.st_ino == before->stat.st_ino && now.stat.st_mode == before->stat.st_mode &&
        now.stat.st_size == before->stat.st_size && now.stat.st_nlink == before->stat.st_nlink &&
        (now.bytes == NULL || memcmp(now.bytes, before->bytes, (size_t)now.stat.st_size) == 0);
    if (!same)
        print_error("%s: size %lld (was %lld), mode %o (%o)\n", path, (long long)now.stat.st_size,
                    (long long)before->stat.st_size, (unsigned)now.stat.st_mode,
                    (unsigned)before->stat.st_mode);
    free(now.bytes);
    free(before->bytes);
    before->bytes = NULL;
    assert_true(same);
}

static inline bool exists(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

/* Entries of a folder but "." and ".."; of /proc/self/fd those are the open descriptors. */
static inline int count_entries(const char *path)
{
    DIR *directory = opendir(path);
    int count = -2;
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    (void)closedir(directory);
    return count;
}

#endif
