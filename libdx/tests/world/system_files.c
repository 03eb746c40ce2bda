/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for system calls on files and their names. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fail.h"

int world_open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (WORLD_FAILS("open", EMFILE, ENFILE, ENOMEM, EACCES, EPERM, EINTR, ENOSPC))
        return -1;
    return open(path, flags, mode);
}

/* As Linux does it: the descriptor is free whatever is returned. */
int world_close(int fd)
{
    int result = close(fd);
    return WORLD_FAILS("close", EINTR, EIO) ? -1 : result;
}

static bool fcntl_fails(int command)
{
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return WORLD_FAILS("fcntl(F_DUPFD)", EMFILE);
    case F_SETLK:
    case F_OFD_SETLK:
        return WORLD_FAILS("fcntl(F_SETLK)", ENOLCK, EINTR);
    case F_GETLK:
    case F_OFD_GETLK:
        return WORLD_FAILS("fcntl(F_GETLK)", ENOLCK, EINTR);
    case F_ADD_SEALS:
        return WORLD_FAILS("fcntl(F_ADD_SEALS)", EPERM);
    default:
        return false;
    }
}

int world_fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl_fails(command) ? -1 : fcntl(fd, command, argument);
}

int world_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return WORLD_FAILS("ioctl", EPERM, ENOTTY, EINTR) ? -1 : ioctl(fd, request, argument);
}

/* At least one byte, and not all. */
static size_t shorter(size_t bytes)
{
    return bytes > 1 ? bytes / 2 : bytes;
}

/* A counter of 8 bytes comes whole or not at all. */
static bool moves_in_parts(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && (s.st_mode & S_IFMT) != 0;
}

ssize_t world_read(int fd, void *buffer, size_t bytes)
{
    int error = WORLD_ERROR("read", EINTR, EIO, ENOMEM, WORLD_SHORT);
    if (world_sets_errno(error))
        return -1;
    bool less = error == WORLD_SHORT && moves_in_parts(fd);
    return read(fd, buffer, less ? shorter(bytes) : bytes);
}

ssize_t world_pread(int fd, void *buffer, size_t bytes, off_t offset)
{
    int error = WORLD_ERROR("pread", EINTR, EIO, ENOMEM, WORLD_SHORT);
    if (world_sets_errno(error))
        return -1;
    return pread(fd, buffer, error == WORLD_SHORT ? shorter(bytes) : bytes, offset);
}

ssize_t world_write(int fd, const void *buffer, size_t bytes)
{
    int error = WORLD_ERROR("write", EINTR, EIO, ENOSPC, EAGAIN, WORLD_SHORT);
    if (world_sets_errno(error))
        return -1;
    bool less = error == WORLD_SHORT && moves_in_parts(fd);
    return write(fd, buffer, less ? shorter(bytes) : bytes);
}

ssize_t world_pwrite(int fd, const void *buffer, size_t bytes, off_t offset)
{
    int error = WORLD_ERROR("pwrite", EINTR, EIO, ENOSPC, WORLD_SHORT);
    if (world_sets_errno(error))
        return -1;
    return pwrite(fd, buffer, error == WORLD_SHORT ? shorter(bytes) : bytes, offset);
}

int world_fstat(int fd, struct stat *out)
{
    return WORLD_FAILS("fstat", ENOMEM) ? -1 : fstat(fd, out);
}

int world_stat(const char *path, struct stat *out)
{
    return WORLD_FAILS("stat", ENOMEM, EACCES) ? -1 : stat(path, out);
}

int world_lstat(const char *path, struct stat *out)
{
    return WORLD_FAILS("lstat", ENOMEM, EACCES) ? -1 : lstat(path, out);
}

int world_access(const char *path, int mode)
{
    return WORLD_FAILS("access", ENOMEM, EACCES) ? -1 : access(path, mode);
}

ssize_t world_readlink(const char *path, char *buffer, size_t bytes)
{
    return WORLD_FAILS("readlink", ENOMEM, EACCES, ENOENT) ? -1 : readlink(path, buffer, bytes);
}

int world_link(const char *from, const char *to)
{
    return WORLD_FAILS("link", ENOMEM, ENOSPC, EACCES, EPERM) ? -1 : link(from, to);
}

int world_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (WORLD_FAILS("linkat", ENOMEM, ENOSPC, EACCES, EPERM))
        return -1;
    return linkat(from_folder, from, to_folder, to, flags);
}

int world_rename(const char *from, const char *to)
{
    return WORLD_FAILS("rename", ENOMEM, ENOSPC, EACCES) ? -1 : rename(from, to);
}

int world_unlink(const char *path)
{
    return WORLD_FAILS("unlink", ENOMEM, EACCES, EPERM) ? -1 : unlink(path);
}

int world_chmod(const char *path, mode_t mode)
{
    return WORLD_FAILS("chmod", EPERM, ENOMEM) ? -1 : chmod(path, mode);
}

int world_fchmod(int fd, mode_t mode)
{
    return WORLD_FAILS("fchmod", EPERM, ENOSPC) ? -1 : fchmod(fd, mode);
}

off_t world_lseek(int fd, off_t offset, int whence)
{
    return WORLD_FAILS("lseek", EINVAL) ? -1 : lseek(fd, offset, whence);
}

int world_ftruncate(int fd, off_t bytes)
{
    return WORLD_FAILS("ftruncate", EINTR, EFBIG, ENOSPC, EPERM) ? -1 : ftruncate(fd, bytes);
}

int world_posix_fallocate(int fd, off_t offset, off_t bytes)
{
    int error = WORLD_ERROR("posix_fallocate", EINTR, ENOSPC, EFBIG, EINVAL, EOPNOTSUPP);
    return error != 0 ? error : posix_fallocate(fd, offset, bytes);
}

int world_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
    if (WORLD_FAILS("fallocate", EINTR, ENOSPC, EFBIG, EOPNOTSUPP, EPERM))
        return -1;
    return fallocate(fd, mode, offset, bytes);
}

int world_memfd_create(const char *name, unsigned flags)
{
    if (WORLD_FAILS("memfd_create", EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM))
        return -1;
    return memfd_create(name, flags);
}

FILE *world_fopen(const char *path, const char *mode)
{
    return WORLD_FAILS("fopen", EMFILE, ENOMEM, EACCES) ? NULL : fopen(path, mode);
}

FILE *world_fdopen(int fd, const char *mode)
{
    return WORLD_FAILS("fdopen", ENOMEM) ? NULL : fdopen(fd, mode);
}

int world_fstatfs(int fd, struct statfs *out)
{
    return WORLD_FAILS("fstatfs", EINTR, ENOSYS, ENOMEM) ? -1 : fstatfs(fd, out);
}

char *world_getcwd(char *buffer, size_t bytes)
{
    return WORLD_FAILS("getcwd", ENOMEM, ENOENT, EACCES) ? NULL : getcwd(buffer, bytes);
}

int world_inotify_init1(int flags)
{
    return WORLD_FAILS("inotify_init1", EMFILE, ENOMEM, ENOSYS) ? -1 : inotify_init1(flags);
}

int world_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    if (WORLD_FAILS("inotify_add_watch", ENOSPC, ENOMEM, EACCES))
        return -1;
    return inotify_add_watch(fd, path, mask);
}
