/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins for what only the command dx calls. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

#include "fail.h"

#define CROWDED_MAX 4

/* Folders of the machine, in which there may be anything. */
static const char *const crowded_names[] = {"/proc", "/tmp", "/dev/shm", "/sys/bus/pci/devices"};
static const DIR *crowded[CROWDED_MAX]; /* those that are open */
static const char *shown_tag;           /* NULL: everything is shown */
static pid_t shown_process;

void world_show_only(const char *tag, pid_t process)
{
    shown_tag = tag;
    shown_process = process;
}

static bool is_crowded(const char *path)
{
    for (size_t i = 0; i < sizeof crowded_names / sizeof *crowded_names; i++)
        if (shown_tag != NULL && strcmp(path, crowded_names[i]) == 0)
            return true;
    return false;
}

/* An address may be that of a folder that was closed. Few are open at once. */
static void note_folder(const DIR *folder, bool is)
{
    static size_t next;
    for (size_t i = 0; i < CROWDED_MAX; i++)
        if (crowded[i] == folder)
            crowded[i] = NULL;
    if (is)
        crowded[next++ % CROWDED_MAX] = folder;
}

static bool is_shown(const DIR *folder, const struct dirent *entry)
{
    for (size_t i = 0; i < CROWDED_MAX; i++)
        if (crowded[i] == folder)
            return strstr(entry->d_name, shown_tag) != NULL ||
                   (shown_process > 0 && strtol(entry->d_name, NULL, 10) == shown_process);
    return true;
}

DIR *world_opendir(const char *path)
{
    if (WORLD_FAILS("opendir", EMFILE, ENOMEM, EACCES))
        return NULL;
    DIR *folder = opendir(path);
    if (folder != NULL)
        note_folder(folder, is_crowded(path));
    return folder;
}

/* At the end of a folder errno stays as it was. */
struct dirent *world_readdir(DIR *folder)
{
    if (WORLD_FAILS("readdir", ENOENT))
        return NULL;
    struct dirent *entry = readdir(folder);
    while (entry != NULL && !is_shown(folder, entry))
        entry = readdir(folder);
    return entry;
}

static int show_nothing(const struct dirent *entry)
{
    (void)entry;
    return 0;
}

/* The list and its entries are the library's to free. */
int world_scandir(const char *path, struct dirent ***list, int (*filter)(const struct dirent *),
                  int (*compare)(const struct dirent **, const struct dirent **))
{
    if (WORLD_FAILS("scandir", ENOMEM, EMFILE, EACCES))
        return -1;
    int count = scandir(path, list, is_crowded(path) ? show_nothing : filter, compare);
    if (count >= 0)
        world_count_blocks(count + (*list != NULL));
    return count;
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
