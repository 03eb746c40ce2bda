/* SPDX-License-Identifier: Apache-2.0 */
#include "find.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../transport.h"
#include "doctor.h"
#include "sockets.h"

#define BLOCK_BYTES 512u /* of st_blocks: stat(2) */

#define SHM "/dev/shm"
#define DEVICES_MAX 8
#define UNNAMED "/memfd:dx (deleted)"
#define SOCKET "socket:["
#define LINE_BYTES (DX_PATH_MAX + 128)

static struct found *add(struct found_list *list, const char *scheme, const char *name,
                         const struct stat *s)
{
    size_t bytes = strlen(scheme) + strlen(name) + 1;
    struct found *more = realloc(list->items, (list->count + 1) * sizeof *list->items);
    if (more != NULL)
        list->items = more;
    char *url = more != NULL ? malloc(bytes) : NULL;
    if (url == NULL) {
        list->complete = false;
        return NULL;
    }
    (void)snprintf(url, bytes, "%s%s", scheme, name);
    list->items[list->count] = (struct found){.url = url,
                                              .bytes = (uint64_t)s->st_blocks * BLOCK_BYTES,
                                              .modified_s = s->st_mtim.tv_sec,
                                              .device = s->st_dev,
                                              .inode = s->st_ino};
    return &list->items[list->count++];
}

static struct found *find_inode(const struct found_list *list, dev_t device, ino_t inode)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].inode == inode && list->items[i].device == device)
            return &list->items[i];
    return NULL;
}

/* Is it a regular file of this user, closed to others, that begins as a region? */
static bool is_region(const char *path, struct stat *s)
{
    bool is_dx = false;
    if (lstat(path, s) != 0 || !S_ISREG(s->st_mode)) /* to open a device could do something */
        return false;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (fstat(fd, s) != 0 || !S_ISREG(s->st_mode) || s->st_uid != geteuid() ||
        (s->st_mode & 077) != 0 || dx_region_check_dx(fd, path, &is_dx) != DX_OK)
        is_dx = false;
    (void)close(fd);
    return is_dx;
}

static void add_file(struct found_list *list, const char *path, const struct stat *s)
{
    struct dx_url url;
    char shm[256];
    const char *name = strncmp(path, SHM "/", sizeof SHM) == 0 ? path + sizeof SHM : "";
    (void)snprintf(shm, sizeof shm, "shm:%.250s", name);
    if (find_inode(list, s->st_dev, s->st_ino) != NULL)
        return;
    if (*name != '\0' && dx_url_parse(shm, &url) == DX_OK && strcmp(url.path, path) == 0)
        (void)add(list, "shm:", name, s);
    else
        (void)add(list, "file:", path, s);
}

/* A socket that nobody has bound is left behind; by whom, its file does not say. */
static void add_socket(struct found_list *list, const struct bound_sockets *sockets,
                       const char *path, const struct stat *s)
{
    if (s->st_uid != geteuid() || (s->st_mode & 077) != 0 ||
        sockets_of_file(sockets, s->st_dev, s->st_ino) != NULL)
        return;
    struct found *f = add(list, "unix:", path, s);
    if (f != NULL)
        f->is_socket = true;
}

/* What lies in a folder; regions only in /dev/shm, since elsewhere they would be read for that. */
static void search_folder(struct found_list *list, const struct bound_sockets *sockets,
                          const char *folder, bool regions)
{
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        list->complete = list->complete && errno == ENOENT;
        return;
    }
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[DX_PATH_MAX];
        struct stat s;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &s) != 0)
            continue;
        if (S_ISSOCK(s.st_mode) && sockets->known)
            add_socket(list, sockets, path, &s);
        else if (regions && S_ISREG(s.st_mode) && is_region(path, &s))
            add_file(list, path, &s);
    }
    (void)closedir(entries);
}

/* The name of a bound socket's file now: it may have been given another one in its folder. */
static bool find_socket_path(const struct bound_socket *socket, char *path)
{
    char folder[sizeof socket->name];
    (void)snprintf(folder, sizeof folder, "%s", socket->name);
    char *slash = strrchr(folder, '/');
    if (folder[0] != '/' || slash == NULL)
        return false;
    slash[slash == folder] = '\0';
    DIR *entries = opendir(folder);
    bool found = false;
    for (const struct dirent *entry;
         entries != NULL && !found && (entry = readdir(entries)) != NULL;) {
        struct stat s;
        (void)snprintf(path, DX_PATH_MAX, "%s/%s", strcmp(folder, "/") != 0 ? folder : "",
                       entry->d_name);
        found = lstat(path, &s) == 0 && S_ISSOCK(s.st_mode) &&
                (uint32_t)s.st_ino == socket->inode && s.st_dev == socket->device;
    }
    if (entries != NULL)
        (void)closedir(entries);
    return found;
}

/* What a process has open: the descriptor of the memory, and a socket at which it serves that. */
static bool look_at_descriptors(const struct bound_sockets *sockets, const char *pid, ino_t inode,
                                struct found *f, char *socket_path)
{
    char folder[64];
    (void)snprintf(folder, sizeof folder, "/proc/%.16s/fd", pid);
    DIR *entries = opendir(folder);
    bool serves = false;
    if (entries == NULL)
        return false;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        struct stat s;
        char path[96];
        char target[64];
        (void)snprintf(path, sizeof path, "%s/%.16s", folder, entry->d_name);
        if (f->descriptor[0] == '\0' && stat(path, &s) == 0 && S_ISREG(s.st_mode) &&
            s.st_ino == inode && s.st_dev == f->device)
            (void)snprintf(f->descriptor, sizeof f->descriptor, "%.*s",
                           (int)sizeof f->descriptor - 1, path);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        if (!serves && strncmp(target, SOCKET, sizeof SOCKET - 1) == 0) {
            uint32_t number = (uint32_t)strtoul(target + sizeof SOCKET - 1, NULL, 10);
            const struct bound_socket *socket = sockets_numbered(sockets, number);
            serves = socket != NULL && find_socket_path(socket, socket_path);
        }
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
        f = add(list, "memfd:", "", s);
    if (f == NULL || strncmp(f->url, "unix:", 5) == 0)
        return;
    if (look_at_descriptors(sockets, pid, s->st_ino, f, path)) {
        size_t bytes = sizeof "unix:" + strlen(path);
        char *url = malloc(bytes);
        list->complete = list->complete && url != NULL;
        if (url != NULL) {
            (void)snprintf(url, bytes, "unix:%s", path);
            free(f->url);
            f->url = url;
        }
    }
    struct stat memory;
    if (f->descriptor[0] != '\0' && stat(f->descriptor, &memory) == 0) {
        f->bytes = (uint64_t)memory.st_blocks * BLOCK_BYTES;
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
    else if (path[0] == '/' && find_inode(list, s.st_dev, s.st_ino) == NULL && is_region(path, &s))
        add_file(list, path, &s);
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
    if (stat(path, &s) != 0 || s.st_uid != geteuid() || strtol(pid, NULL, 10) == getpid())
        return;
    (void)snprintf(path, sizeof path, "/proc/%.16s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return; /* it has ended, or may not be looked at */
    while (fgets(line, LINE_BYTES, maps) != NULL)
        look_at_mapping(list, sockets, pid, line);
    (void)fclose(maps);
}

static void search_processes(struct found_list *list, const struct bound_sockets *sockets)
{
    char *line = malloc(LINE_BYTES);
    DIR *processes = line != NULL ? opendir("/proc") : NULL;
    list->complete = list->complete && processes != NULL;
    for (const struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;)
        if (isdigit((unsigned char)entry->d_name[0]))
            look_at_process(list, sockets, entry->d_name, line);
    if (processes != NULL)
        (void)closedir(processes);
    free(line);
}

/* Of a VM: the memory of its devices, where this user may read it. */
static void search_devices(struct found_list *list)
{
    const struct doctor here = {.root = ""};
    char devices[DEVICES_MAX][DOCTOR_ADDRESS_BYTES];
    size_t count = doctor_find_devices(&here, devices, DEVICES_MAX);
    for (size_t i = 0; i < count; i++) {
        char name[DOCTOR_ADDRESS_BYTES + 16];
        struct stat s;
        struct doctor_path memory =
            doctor_path(&here, "/sys/bus/pci/devices/%s/resource2", devices[i]);
        (void)snprintf(name, sizeof name, "?addr=%.*s", DOCTOR_ADDRESS_BYTES - 1, devices[i]);
        if (stat(memory.text, &s) != 0 || access(memory.text, R_OK) != 0)
            continue;
        struct found *f = add(list, "ivshmem:plain", count > 1 ? name : "", &s);
        if (f != NULL)
            f->is_device = true;
    }
}

static int by_url(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    int order = strcmp(x->url, y->url);
    return order != 0 ? order : (x->inode > y->inode) - (x->inode < y->inode);
}

void find_all(struct found_list *list)
{
    struct bound_sockets sockets;
    *list = (struct found_list){.complete = true};
    sockets_list(&sockets);
    list->knows_sockets = sockets.known;
    search_folder(list, &sockets, SHM, true);
    search_processes(list, &sockets);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/')
        search_folder(list, &sockets, runtime, false);
    search_folder(list, &sockets, "/tmp", false);
    sockets_free(&sockets);
    search_devices(list);
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, by_url);
}

void find_free(struct found_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].url);
    free(list->items);
    *list = (struct found_list){.complete = true};
}

bool find_open(const struct found *f, char *url, int *fd)
{
    *fd = -1;
    if (f->descriptor[0] == '\0') {
        (void)snprintf(url, FIND_URL_BYTES, "%s", f->url);
        return strncmp(f->url, "memfd:", 6) != 0;
    }
    struct stat s;
    *fd = open(f->descriptor, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return false;
    (void)snprintf(url, FIND_URL_BYTES, "memfd:%d", *fd);
    if (fstat(*fd, &s) == 0 && s.st_ino == f->inode)
        return true;
    (void)close(*fd); /* the process has ended, and another has its number */
    *fd = -1;
    return false;
}
