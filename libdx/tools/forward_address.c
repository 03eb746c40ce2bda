/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of dx forward. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../error.h"
#include "../region.h"
#include "../rendezvous_name.h"
#include "forward.h"

#define BACKLOG 128

static bool refuse(const char *flag, const char *text, const char *why)
{
    (void)fprintf(stderr, "dx forward: -%s %s: %s\n", flag, text, why);
    return false;
}

static bool parse_port(const char *text, uint16_t *out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    *out = (uint16_t)port;
    return *end == '\0' && port <= UINT16_MAX;
}

/* HOST:PORT or [HOST]:PORT, in numbers, or localhost. */
static bool parse_tcp(const char *text, struct sockaddr_storage *out, socklen_t *bytes)
{
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;
    char host[INET6_ADDRSTRLEN + 2];
    uint16_t port;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host || !parse_port(colon + 1, &port))
        return false;
    size_t length = (size_t)(colon - text);
    memcpy(host, text, length);
    host[length] = '\0';
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        *bytes = sizeof *six;
        return inet_pton(AF_INET6, host + 1, &six->sin6_addr) == 1;
    }
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    *bytes = sizeof *four;
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
                     &four->sin_addr) == 1;
}

static bool is_loopback(const struct sockaddr_storage *s)
{
    if (s->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)s)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)(const void *)s)->sin_addr.s_addr) >> 24 ==
           IN_LOOPBACKNET;
}

bool forward_parse_address(const char *flag, const char *text, bool any,
                           struct forward_address *out)
{
    *out = (struct forward_address){.text = text};
    if (strncmp(text, "unix:", 5) == 0) {
        struct sockaddr_un *name = (struct sockaddr_un *)(void *)&out->socket;
        size_t length = strlen(text + 5);
        if (length == 0 || length >= sizeof name->sun_path)
            return refuse(flag, text, "the path of a Unix socket has 1 to 107 bytes");
        name->sun_family = AF_UNIX;
        memcpy(name->sun_path, text + 5, length + 1);
        out->bytes = sizeof *name;
        return true;
    }
    if (strncmp(text, "tcp:", 4) != 0 || !parse_tcp(text + 4, &out->socket, &out->bytes))
        return refuse(flag, text,
                      "it takes tcp:ADDRESS:PORT with an address in numbers, or "
                      "unix:PATH");
    if (!any && !is_loopback(&out->socket))
        return refuse(flag, text, "this is an address beyond this machine; -any-address allows it");
    return true;
}

static const char *path_of(const struct forward_address *a)
{
    return a->socket.ss_family == AF_UNIX
               ? ((const struct sockaddr_un *)(const void *)&a->socket)->sun_path
               : NULL;
}

static int listen_at_name(const char *path, struct forward_address *a)
{
    char temporary[DX_PATH_MAX];
    struct stat s;
    int fd = -1;
    if (dx_socket_listen(path, temporary, &fd) != DX_OK)
        return -1;
    if (lstat(temporary, &s) != 0) {
        (void)dx_fail_errno("%s: cannot be examined", temporary);
    } else if (dx_socket_claim(path, temporary) == DX_OK) {
        a->device = s.st_dev;
        a->inode = s.st_ino;
        return fd;
    }
    (void)close(fd);
    (void)unlink(temporary);
    return -1;
}

int forward_listen(struct forward_address *a)
{
    const char *path = path_of(a);
    if (path != NULL)
        return listen_at_name(path, a);
    const int on = 1;
    int fd = socket(a->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&a->socket, a->bytes) != 0 || listen(fd, BACKLOG) != 0) {
        (void)dx_fail_errno("%s: cannot listen", a->text);
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    return fd;
}

void forward_unlisten(const struct forward_address *a, int fd)
{
    const char *path = path_of(a);
    if (path != NULL)
        (void)dx_socket_release(path, a->device, a->inode);
    (void)close(fd);
}

int forward_connect(const struct forward_address *a)
{
    int fd = socket(a->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&a->socket, a->bytes) != 0 && errno != EINPROGRESS) {
        int error = errno;
        (void)close(fd);
        errno = error == EAGAIN ? ECONNREFUSED : error; /* a Unix socket whose backlog is full */
        return -1;
    }
    return fd;
}
