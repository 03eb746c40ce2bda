/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel shows the locks of each open file description in /proc/PID/fdinfo/N, for example
 *   lock: 1: OFDLCK ADVISORY WRITE -1 00:1a:77 4611686018427387904 4611686018427387904
 * with the first and the last byte at the end. Of a region that is sealed (region_seal.c) the lock
 * has no descriptor: there is another one, with a lock that is only a hint, in a process that maps
 * the region. A child of that process has the descriptor as well, but not the mapping. */
#include "holder.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* docs/protocol.md: where the lock bytes begin. */
#define LOCK_OFFSET 0x4000000000000000ull

/* Is this the line of a lock of that one byte? */
static bool is_lock_of(const char *line, uint64_t byte)
{
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, " %llu %llu\n", (unsigned long long)byte,
                   (unsigned long long)byte);
    size_t length = strlen(line);
    size_t end = strlen(wanted);
    return strncmp(line, "lock:", 5) == 0 && strstr(line, "OFDLCK") != NULL && length >= end &&
           strcmp(line + length - end, wanted) == 0;
}

static bool descriptor_holds(const char *pid, const char *fd, uint64_t byte)
{
    char path[64];
    char line[256];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%.16s/fdinfo/%.16s", pid, fd);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL)
        found = is_lock_of(line, byte);
    (void)fclose(file);
    return found;
}

/* A line of /proc/PID/maps has the device and the file's number behind the offset. */
static bool process_maps(const char *pid, const struct stat *region)
{
    char path[64];
    char line[512];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%.16s/maps", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        char inode[32];
        found = sscanf(line, "%*s %*s %*s %*s %31s", inode) == 1 &&
                strtoull(inode, NULL, 10) == region->st_ino;
    }
    (void)fclose(file);
    return found;
}

static bool process_holds(const char *pid, const struct stat *region, uint64_t byte)
{
    char path[64];
    bool found = false;
    (void)snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    DIR *fds = opendir(path);
    if (fds == NULL)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(fds)) != NULL;) {
        struct stat s;
        if (fstatat(dirfd(fds), entry->d_name, &s, 0) == 0 && s.st_dev == region->st_dev &&
            s.st_ino == region->st_ino)
            found = descriptor_holds(pid, entry->d_name, byte) ||
                    (descriptor_holds(pid, entry->d_name, byte + DX_LOCK_HINT) &&
                     process_maps(pid, region));
    }
    (void)closedir(fds);
    return found;
}

pid_t tool_holder(int fd, uint32_t lock)
{
    struct stat region;
    pid_t holder = 0;
    DIR *processes = opendir("/proc");
    if (processes == NULL)
        return 0;
    bool known = fstat(fd, &region) == 0;
    for (const struct dirent *entry;
         known && holder == 0 && (entry = readdir(processes)) != NULL;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && pid != getpid() &&
            process_holds(entry->d_name, &region, LOCK_OFFSET + (uint64_t)lock))
            holder = pid;
    }
    (void)closedir(processes);
    return holder;
}

const char *tool_holder_text(int fd, uint32_t lock, char *text)
{
    pid_t pid = tool_holder(fd, lock);
    if (pid != 0)
        (void)snprintf(text, TOOL_HOLDER_BYTES, "process %d", (int)pid);
    else
        (void)snprintf(text, TOOL_HOLDER_BYTES, "a process that cannot be seen from here");
    return text;
}
