/* SPDX-License-Identifier: Apache-2.0 */
#include "find_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../error.h"
#include "../transport.h"
#include "doctor.h"

#define SHM "/dev/shm"
#define DEVICES_MAX 8

void find_note(struct found_list *list, const char *what, int error)
{
    if (list->problem[0] == '\0')
        (void)snprintf(list->problem, sizeof list->problem, "%.256s: cannot be looked at: %s", what,
                       strerror(error));
}

/* Of what lies in a folder that is looked at: only what is gone by now, or is a link by now, is not
 * missing. */
static void note_missing(struct found_list *list, const char *what)
{
    if (errno != ENOENT && errno != ELOOP)
        find_note(list, what, errno);
}

/* Did a look fail because this process lacks something? */
static bool is_lack(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM;
}

void find_note_lack(struct found_list *list, const char *what)
{
    if (is_lack(errno))
        find_note(list, what, errno);
}

const struct dirent *find_next_entry(struct found_list *list, DIR *folder, const char *name)
{
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (entry == NULL && errno != 0 && strncmp(name, "/proc/", 6) != 0)
        find_note(list, name, errno);
    return entry;
}

struct found *find_add(struct found_list *list, const char *scheme, const char *name,
                       const struct stat *s)
{
    size_t bytes = strlen(scheme) + strlen(name) + 1;
    struct found *more = realloc(list->items, (list->count + 1) * sizeof *list->items);
    if (more != NULL)
        list->items = more;
    char *url = more != NULL ? malloc(bytes) : NULL;
    if (url == NULL) {
        find_note(list, *name != '\0' ? name : scheme, ENOMEM);
        return NULL;
    }
    (void)snprintf(url, bytes, "%s%s", scheme, name);
    list->items[list->count] = (struct found){.url = url,
                                              .bytes = (uint64_t)s->st_blocks * FIND_BLOCK_BYTES,
                                              .modified_s = s->st_mtim.tv_sec,
                                              .device = s->st_dev,
                                              .inode = s->st_ino};
    return &list->items[list->count++];
}

struct found *find_inode(const struct found_list *list, dev_t device, ino_t inode)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].inode == inode && list->items[i].device == device)
            return &list->items[i];
    return NULL;
}

/* Is this what a region can be: a regular file of this user, closed to others? */
static bool can_be_region(const struct stat *s)
{
    return S_ISREG(s->st_mode) && s->st_uid == geteuid() && (s->st_mode & 077) == 0;
}

bool find_is_region(struct found_list *list, const char *path, struct stat *s)
{
    bool is_dx = false;
    if (!can_be_region(s))
        return false;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool seen = fd >= 0 && fstat(fd, s) == 0;
    if (seen && can_be_region(s))
        seen = dx_region_check_dx(fd, path, &is_dx) == DX_OK;
    if (!seen)
        note_missing(list, path);
    if (fd >= 0)
        (void)close(fd);
    return is_dx;
}

void find_add_file(struct found_list *list, const char *path, const struct stat *s)
{
    struct dx_url url;
    char shm[256];
    const char *name = strncmp(path, SHM "/", sizeof SHM) == 0 ? path + sizeof SHM : "";
    (void)snprintf(shm, sizeof shm, "shm:%.250s", name);
    if (find_inode(list, s->st_dev, s->st_ino) != NULL)
        return;
    if (*name != '\0' && dx_url_parse(shm, &url) == DX_OK && strcmp(url.path, path) == 0)
        (void)find_add(list, "shm:", name, s);
    else
        (void)find_add(list, "file:", path, s);
}

/* A socket that nobody has bound is left behind; by whom, its file does not say. */
static void add_socket(struct found_list *list, const struct bound_sockets *sockets,
                       const char *path, const struct stat *s)
{
    if (s->st_uid != geteuid() || (s->st_mode & 077) != 0 ||
        sockets_of_file(sockets, s->st_dev, s->st_ino) != NULL)
        return;
    struct found *f = find_add(list, "unix:", path, s);
    if (f != NULL)
        f->is_socket = true;
}

/* What lies in a folder; regions only in /dev/shm, since elsewhere they would be read for that. */
static void search_folder(struct found_list *list, const struct bound_sockets *sockets,
                          const char *folder, bool regions)
{
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        note_missing(list, folder);
        return;
    }
    for (const struct dirent *entry; (entry = find_next_entry(list, entries, folder)) != NULL;) {
        char path[DX_PATH_MAX];
        struct stat s;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &s) != 0)
            note_missing(list, path);
        else if (S_ISSOCK(s.st_mode) && sockets->known)
            add_socket(list, sockets, path, &s);
        else if (regions && find_is_region(list, path, &s))
            find_add_file(list, path, &s);
    }
    (void)closedir(entries);
}

/* Of a VM: the memory of its devices, where this user may read it. */
static void search_devices(struct found_list *list)
{
    const struct doctor here = {.root = ""};
    char devices[DEVICES_MAX][DOCTOR_ADDRESS_BYTES];
    errno = 0;
    size_t count = doctor_find_devices(&here, devices, DEVICES_MAX);
    find_note_lack(list, "/sys/bus/pci/devices");
    for (size_t i = 0; i < count; i++) {
        char name[DOCTOR_ADDRESS_BYTES + 16];
        struct stat s;
        struct doctor_path memory =
            doctor_path(&here, "/sys/bus/pci/devices/%s/resource2", devices[i]);
        (void)snprintf(name, sizeof name, "?addr=%.*s", DOCTOR_ADDRESS_BYTES - 1, devices[i]);
        if (stat(memory.text, &s) != 0 || access(memory.text, R_OK) != 0) {
            find_note_lack(list, memory.text);
            continue;
        }
        struct found *f = find_add(list, "ivshmem:plain", count > 1 ? name : "", &s);
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
    *list = (struct found_list){.count = 0};
    list->sockets_error = sockets_list(&sockets);
    if (list->sockets_error != 0 && !sockets_are_hidden(list->sockets_error))
        find_note(list, "Unix sockets", list->sockets_error);
    search_folder(list, &sockets, SHM, true);
    find_in_processes(list, &sockets);
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
    *list = (struct found_list){.count = 0};
}

dx_status find_open(const struct found *f, char *url, int *fd)
{
    *fd = -1;
    if (f->descriptor[0] == '\0') {
        (void)snprintf(url, FIND_URL_BYTES, "%s", f->url);
        return strncmp(f->url, "memfd:", 6) != 0
                   ? DX_OK
                   : dx_fail(DX_ERR_NO_PEER, "the descriptor of its process cannot be seen");
    }
    struct stat s;
    *fd = open(f->descriptor, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &s) != 0) {
        dx_status status = is_lack(errno)
                               ? dx_fail_errno("%s: cannot be opened", f->descriptor)
                               : dx_fail(DX_ERR_NO_PEER, "%s: has ended, or is not to be looked at",
                                         f->descriptor);
        if (*fd >= 0)
            (void)close(*fd);
        *fd = -1;
        return status;
    }
    if (s.st_ino == f->inode) {
        (void)snprintf(url, FIND_URL_BYTES, "memfd:%d", *fd);
        return DX_OK;
    }
    (void)close(*fd); /* the process has ended, and another has its number */
    *fd = -1;
    return dx_fail_plain(DX_ERR_NO_PEER);
}
