/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous_name.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"
#include "random.h"
#include "region.h"

#define BACKLOG 64
#define CLAIMS 100
#define ASIDE "-old"

/* The folder that the first bytes of a path name. */
static dx_status open_folder(const char *path, size_t bytes, int *folder)
{
    char *name = malloc(bytes + 1);
    if (name == NULL)
        return dx_fail(DX_ERR_SYSTEM, "unix:%.40s...: no memory for the name of its folder", path);
    memcpy(name, path, bytes);
    name[bytes] = '\0';
    *folder = dx_fd_open(name, O_PATH | O_DIRECTORY);
    dx_status status = *folder >= 0 ? DX_OK : dx_fail_errno("%s: cannot be opened", name);
    free(name);
    return status;
}

/* A socket's address has 107 bytes for a path. A longer one is reached through its folder. */
static dx_status address_of(const char *path, struct sockaddr_un *address, int *folder)
{
    *folder = -1;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof address->sun_path) {
        memcpy(address->sun_path, path, strlen(path));
        return DX_OK;
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL || strlen(slash) > 64)
        return dx_fail(DX_ERR_URL, "unix:%.40s...: the last part of the path is too long", path);
    dx_status status = open_folder(path, (size_t)(slash - path), folder);
    if (status != DX_OK)
        return status;
    (void)snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d%.64s", *folder,
                   slash);
    return DX_OK;
}

typedef int socket_verb(int fd, const struct sockaddr *address, socklen_t bytes);

/* bind or connect; 0 or errno in *failed. */
static dx_status do_with_address(socket_verb *verb, int fd, const char *path, int *failed)
{
    struct sockaddr_un address;
    int folder;
    dx_status status = address_of(path, &address, &folder);
    if (status != DX_OK)
        return status;
    *failed = verb(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    if (folder >= 0)
        (void)close(folder);
    return DX_OK;
}

/* A umask may have taken rights from ourselves. The name is opened and looked at first, since in
 * some folders another could have put something else there. */
static dx_status restore_mode(const char *temporary, const char *path)
{
    struct stat s = {0};
    char self[64];
    dx_status status = DX_OK;
    int fd = dx_fd_open(temporary, O_PATH | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &s) != 0)
        status = dx_fail_errno("%s: its socket cannot be examined", path);
    else if (!S_ISSOCK(s.st_mode) || s.st_uid != geteuid())
        status = dx_fail(DX_ERR_PERMISSION, "%s: another user took the place of its socket", path);
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (status == DX_OK && (s.st_mode & 07777) != 0600 && chmod(self, 0600) != 0)
        status = dx_fail_errno("%s: its socket cannot be opened to us", path);
    if (fd >= 0)
        (void)close(fd);
    return status;
}

dx_status dx_socket_listen(const char *path, char *temporary, int *out)
{
    const char *slash = strrchr(path, '/');
    int folder = slash == NULL ? 0 : (int)(slash - path) + 1;
    (void)snprintf(temporary, DX_PATH_MAX, "%.*s.dx-%016llx", folder, path,
                   (unsigned long long)dx_random64());
    int fd = dx_fd_socket();
    if (fd < 0)
        return dx_fail_errno("no socket for %s", path);
    int failed = 0;
    /* The mode of the socket is that of the file that bind makes. */
    dx_status status =
        fchmod(fd, 0600) == 0 ? DX_OK : dx_fail_errno("%s: cannot be closed to others", path);
    if (status == DX_OK)
        status = do_with_address(bind, fd, temporary, &failed);
    errno = failed;
    if (status == DX_OK && failed != 0)
        status = dx_fail_errno("%s: cannot create a socket in its folder", path);
    if (status == DX_OK) {
        status = restore_mode(temporary, path);
        if (status == DX_OK && listen(fd, BACKLOG) != 0)
            status = dx_fail_errno("%s: cannot listen", path);
        if (status != DX_OK)
            (void)unlink(temporary);
    }
    if (status != DX_OK)
        (void)close(fd);
    else
        *out = fd;
    return status;
}

/* Is this name a socket of ours, closed to others? */
static dx_status check_name(const char *path, struct stat *s)
{
    if (lstat(path, s) != 0) {
        if (errno == ENOENT)
            return dx_fail(DX_ERR_NO_PEER, "%s: nothing there; is the host running?", path);
        return dx_fail_errno("%s: cannot be examined", path);
    }
    if (S_ISLNK(s->st_mode))
        return dx_fail(DX_ERR_PERMISSION, "%s: a symbolic link, which is never followed", path);
    if (!S_ISSOCK(s->st_mode))
        return dx_fail(DX_ERR_PERMISSION, "%s: exists and is no socket; it is left as it was",
                       path);
    if (s->st_uid != geteuid())
        return dx_fail(DX_ERR_PERMISSION, "%s: belongs to user %u, we are user %u", path,
                       (unsigned)s->st_uid, (unsigned)geteuid());
    if ((s->st_mode & 077) != 0)
        return dx_fail(DX_ERR_PERMISSION, "%s: mode %04o lets other users in; chmod 600 it", path,
                       (unsigned)(s->st_mode & 07777));
    return DX_OK;
}

dx_status dx_socket_check_peer(int fd, const char *path, pid_t *pid)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        return dx_fail_errno("%s: cannot find out who is there", path);
    *pid = peer.pid;
    if (peer.uid != geteuid())
        return dx_fail(DX_ERR_PERMISSION, "%s: process %d there is user %u, we are user %u", path,
                       (int)peer.pid, (unsigned)peer.uid, (unsigned)geteuid());
    return DX_OK;
}

dx_status dx_socket_connect(const char *path, int *out)
{
    struct stat s;
    dx_status status = check_name(path, &s);
    if (status != DX_OK)
        return status;
    int fd = dx_fd_socket();
    if (fd < 0)
        return dx_fail_errno("no socket for %s", path);
    int failed = 0;
    pid_t pid;
    status = do_with_address(connect, fd, path, &failed);
    if (status == DX_OK && failed == 0) {
        status = dx_socket_check_peer(fd, path, &pid);
    } else if (failed == ECONNREFUSED || failed == ENOENT) {
        status = dx_fail(DX_ERR_NO_PEER, "%s: nobody listens there any more", path);
    } else if (failed == EAGAIN) {
        status = dx_fail(DX_ERR_NO_PEER, "%s: too many are waiting to be let in", path);
    } else if (status == DX_OK) {
        errno = failed;
        status = dx_fail_errno("%s: cannot connect", path);
    }
    if (status != DX_OK)
        (void)close(fd);
    else
        *out = fd;
    return status;
}

/* The name is moved aside first, since somebody alive may have taken it since we looked: then it is
 * put back. */
static dx_status remove_moved(const char *path, const struct stat *before, const char *aside)
{
    struct stat moved;
    if (rename(path, aside) != 0)
        return errno == ENOENT ? DX_OK : dx_fail_errno("%s: cannot be moved away", path);
    if (lstat(aside, &moved) == 0 &&
        (moved.st_ino != before->st_ino || moved.st_dev != before->st_dev) &&
        link(aside, path) != 0 && errno != EEXIST)
        return dx_fail_errno("%s: somebody else's, now at %s, cannot be moved back", path, aside);
    (void)unlink(aside);
    return DX_OK;
}

/* Takes away the name of a socket at which nobody listens. */
static dx_status remove_stale(const char *path, const char *temporary)
{
    struct stat before;
    dx_status status = check_name(path, &before);
    if (status != DX_OK)
        return status == DX_ERR_NO_PEER ? DX_OK : status;
    int fd = -1;
    status = dx_socket_connect(path, &fd);
    if (status == DX_OK) {
        (void)close(fd);
        return dx_fail(DX_ERR_HOST_EXISTS,
                       "%s: somebody serves it; take another name or end that "
                       "host",
                       path);
    }
    if (status != DX_ERR_NO_PEER)
        return status;
    size_t bytes = strlen(temporary) + sizeof ASIDE;
    char *aside = malloc(bytes);
    if (aside == NULL)
        return dx_fail(DX_ERR_SYSTEM, "%s: no memory for the name to which it is moved", path);
    (void)snprintf(aside, bytes, "%s" ASIDE, temporary);
    status = remove_moved(path, &before, aside);
    free(aside);
    return status;
}

dx_status dx_socket_claim(const char *path, const char *temporary)
{
    for (int i = 0; i < CLAIMS; i++) {
        if (link(temporary, path) == 0) {
            (void)unlink(temporary);
            return DX_OK;
        }
        if (errno != EEXIST)
            return dx_fail_errno("%s: cannot be given its name", path);
        dx_status status = remove_stale(path, temporary);
        if (status != DX_OK)
            return status;
    }
    return dx_fail(DX_ERR_HOST_EXISTS, "%s: others take the name all the time", path);
}

bool dx_socket_release(const char *path, dev_t device, ino_t inode)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return errno == ENOENT;
    return s.st_dev != device || s.st_ino != inode || unlink(path) == 0 || errno == ENOENT;
}
