/* SPDX-License-Identifier: Apache-2.0 */
/* What processes of this user map and serve. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "find_list.h"

#define UNNAMED "/memfd:dx (deleted)"
#define SOCKET "socket:["
#define LINE_BYTES (DX_PATH_MAX + 128)

/* The name of a bound socket's file now: it may have been given another one in its folder. */
static bool find_socket_path(struct found_list *list, const struct bound_socket *socket, char *path)
{
    char folder[sizeof socket->name];
    (void)snprintf(folder, sizeof folder, "%s", socket->name);
    char *slash = strrchr(folder, '/');
    if (folder[0] != '/' || slash == NULL)
        return false;
    slash[slash == folder] = '\0';
    DIR *entries = opendir(folder);
    bool found = false;
    if (entries == NULL)
        find_note_lack(list, folder);
    for (const struct dirent *entry;
         entries != NULL && !found && (entry = find_next_entry(list, entries, folder)) != NULL;) {
        struct stat s;
        (void)snprintf(path, DX_PATH_MAX, "%s/%s", strcmp(folder, "/") != 0 ? folder : "",
                       entry->d_name);
        bool seen = lstat(path, &s) == 0;
        if (!seen)
            find_note_lack(list, path);
        found = seen && S_ISSOCK(s.st_mode) && (uint32_t)s.st_ino == socket->inode &&
                s.st_dev == socket->device;
    }
    if (entries != NULL)
        (void)closedir(entries);
    return found;
}

/* The socket that a descriptor of a process is; NULL: none that is bound. */
static const struct bound_socket *socket_at(struct found_list *list,
                                            const struct bound_sockets *sockets, const char *path)
{
    char target[64];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        find_note_lack(list, path);
    target[length > 0 ? length : 0] = '\0';
    if (strncmp(target, SOCKET, sizeof SOCKET - 1) != 0)
        return NULL;
    return sockets_numbered(sockets, (uint32_t)strtoul(target + sizeof SOCKET - 1, NULL, 10));
}

/* What a process has open: the descriptor of the memory, and a socket at which it serves that. */
static bool look_at_descriptors(struct found_list *list, const struct bound_sockets *sockets,
                                const char *pid, struct found *f, char *socket_path)
{
    char folder[64];
    (void)snprintf(folder, sizeof folder, "/proc/%.16s/fd", pid);
    DIR *entries = opendir(folder);
    bool serves = false;
    if (entries == NULL) {
        find_note_lack(list, folder);
        return false;
    }
    for (const struct dirent *entry; (entry = find_next_entry(list, entries, folder)) != NULL;) {
        struct stat s;
        char path[96];
        (void)snprintf(path, sizeof path, "%s/%.16s", folder, entry->d_name);
        bool seen = f->descriptor[0] != '\0' || stat(path, &s) == 0;
        if (!seen)
            find_note_lack(list, path);
        if (seen && f->descriptor[0] == '\0' && S_ISREG(s.st_mode) && s.st_ino == f->inode &&
            s.st_dev == f->device)
            (void)snprintf(f->descriptor, sizeof f->descriptor, "%.*s",
                           (int)sizeof f->descriptor - 1, path);
        const struct bound_socket *socket = serves ? NULL : socket_at(list, sockets, path);
        serves |= socket != NULL && find_socket_path(list, socket, socket_path);
    }
    (void)closedir(entries);
    return serves;
}

/* Memory without a file: its descriptor in the process, and the socket if one is served there. */
static void add_unnamed(struct found_list *list, const struct bound_sockets *sockets,
                        const char *pid, struct stat *s)
{
    char path[DX_PATH_MAX];
    struct found *f = find_inode(list, s->st_dev, s->st_ino);
    if (f == NULL)
        f = find_add(list, "memfd:", "", s);
    if (f == NULL || strncmp(f->url, "unix:", 5) == 0)
        return;
    if (look_at_descriptors(list, sockets, pid, f, path)) {
        size_t bytes = sizeof "unix:" + strlen(path);
        char *url = malloc(bytes);
        if (url == NULL)
            find_note(list, path, ENOMEM);
        if (url != NULL) {
            (void)snprintf(url, bytes, "unix:%s", path);
            free(f->url);
            f->url = url;
        }
    }
    struct stat memory;
    bool seen = f->descriptor[0] != '\0' && stat(f->descriptor, &memory) == 0;
    if (f->descriptor[0] != '\0' && !seen)
        find_note_lack(list, f->descriptor);
    if (seen) {
        f->bytes = (uint64_t)memory.st_blocks * FIND_BLOCK_BYTES;
        f->modified_s = memory.st_mtim.tv_sec;
    }
}

/* A line of a process's maps: addresses, access, offset, device, inode, path. False: it is of no
 * file that is shared. *s has the file's numbers then, and *path its name. */
static bool read_mapping(char *line, struct stat *s, const char **path)
{
    char *end;
    char *access = strchr(line, ' ');
    char *offset = access != NULL ? strchr(access + 1, ' ') : NULL;
    char *device = offset != NULL ? strchr(offset + 1, ' ') : NULL;
    if (device == NULL || offset - access < 5 || access[4] != 's')
        return false;
    unsigned long major_number = strtoul(device, &end, 16);
    unsigned long minor_number = *end == ':' ? strtoul(end + 1, &end, 16) : 0;
    *s = (struct stat){.st_dev = makedev((unsigned)major_number, (unsigned)minor_number),
                       .st_ino = strtoull(end, &end, 10)};
    end += strspn(end, " ");
    end[strcspn(end, "\n")] = '\0';
    *path = end;
    return s->st_ino != 0;
}

static void look_at_mapped_file(struct found_list *list, const char *path, struct stat *s)
{
    if (lstat(path, s) != 0)
        find_note_lack(list, path);
    else if (find_is_region(list, path, s))
        find_add_file(list, path, s);
}

/* One mapping of a process, as a line of its maps tells it. */
static void look_at_mapping(struct found_list *list, const struct bound_sockets *sockets,
                            const char *pid, char *line)
{
    struct stat s;
    const char *path;
    if (!read_mapping(line, &s, &path))
        return;
    if (strcmp(path, UNNAMED) == 0)
        add_unnamed(list, sockets, pid, &s);
    else if (path[0] == '/' && find_inode(list, s.st_dev, s.st_ino) == NULL)
        look_at_mapped_file(list, path, &s);
    /* Of some file systems the maps tell another device than the file itself, which counts. */
    struct found *f = find_inode(list, s.st_dev, s.st_ino);
    if (f != NULL && f->user == 0)
        f->user = (pid_t)strtol(pid, NULL, 10);
}

static void look_at_process(struct found_list *list, const struct bound_sockets *sockets,
                            const char *pid, char *line)
{
    char path[64];
    struct stat s;
    (void)snprintf(path, sizeof path, "/proc/%.16s", pid);
    if (stat(path, &s) != 0) {
        find_note_lack(list, path);
        return;
    }
    if (s.st_uid != geteuid() || strtol(pid, NULL, 10) == getpid())
        return;
    (void)snprintf(path, sizeof path, "/proc/%.16s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL) { /* it has ended, or may not be looked at, or we lack something */
        find_note_lack(list, path);
        return;
    }
    while (fgets(line, LINE_BYTES, maps) != NULL)
        look_at_mapping(list, sockets, pid, line);
    (void)fclose(maps);
}

void find_in_processes(struct found_list *list, const struct bound_sockets *sockets)
{
    char *line = malloc(LINE_BYTES);
    DIR *processes = line != NULL ? opendir("/proc") : NULL;
    if (processes == NULL)
        find_note(list, "/proc", line != NULL ? errno : ENOMEM);
    for (const struct dirent *entry;
         processes != NULL && (entry = find_next_entry(list, processes, "/proc")) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]))
            look_at_process(list, sockets, entry->d_name, line);
    if (processes != NULL)
        (void)closedir(processes);
    free(line);
}
