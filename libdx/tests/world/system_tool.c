/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for what only the command dx calls. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include "fail.h"

DIR *world_opendir(const char *path)
{
    return WORLD_FAILS("opendir", EMFILE, ENOMEM, EACCES) ? NULL : opendir(path);
}

/* At the end of a folder errno stays as it was. */
struct dirent *world_readdir(DIR *folder)
{
    return WORLD_FAILS("readdir", ENOENT) ? NULL : readdir(folder);
}

int world_fstatat(int folder, const char *path, struct stat *out, int flags)
{
    return WORLD_FAILS("fstatat", ENOMEM, EACCES) ? -1 : fstatat(folder, path, out, flags);
}

int world_faccessat(int folder, const char *path, int mode, int flags)
{
    return WORLD_FAILS("faccessat", ENOMEM, EACCES) ? -1 : faccessat(folder, path, mode, flags);
}

int world_statvfs(const char *path, struct statvfs *out)
{
    return WORLD_FAILS("statvfs", ENOSYS, EACCES, EINTR) ? -1 : statvfs(path, out);
}

int world_pipe2(int ends[2], int flags)
{
    return WORLD_FAILS("pipe2", EMFILE, ENFILE) ? -1 : pipe2(ends, flags);
}

int world_signalfd(int fd, const sigset_t *signals, int flags)
{
    return WORLD_FAILS("signalfd", EMFILE, ENFILE, ENOMEM) ? -1 : signalfd(fd, signals, flags);
}

pid_t world_fork(void)
{
    return WORLD_FAILS("fork", EAGAIN, ENOMEM, ENOSYS) ? -1 : fork();
}
