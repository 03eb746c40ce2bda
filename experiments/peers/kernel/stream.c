/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of bytes: a pipe each way, Unix stream sockets, TCP over the loopback interface. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bytes.h"
#include "kernel.h"

struct stream {
    int in;
    int out;
    size_t bytes;
    char *buffer; /* of the server */
};

struct listener {
    int fd;
    size_t bytes;
};

static struct stream *new_stream(int in, int out, size_t bytes)
{
    struct stream *s = peer_new(sizeof *s);
    s->in = in;
    s->out = out;
    s->bytes = bytes;
    s->buffer = peer_new(bytes);
    return s;
}

static void *answer(void *argument)
{
    struct stream *s = argument;
    while (read_all(s->in, s->buffer, s->bytes) == 0 &&
           write_all(s->out, s->buffer, s->bytes) == 0) {
    }
    (void)close(s->in);
    if (s->out != s->in)
        (void)close(s->out);
    free(s->buffer);
    free(s);
    return NULL;
}

static int call(void *caller, const void *request, void *response)
{
    const struct stream *s = caller;
    return write_all(s->out, request, s->bytes) != 0 ? -1 : read_all(s->in, response, s->bytes);
}

/* A connection sends at once what it is given. Unix sockets have no such option. */
static void without_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void *accept_callers(void *argument)
{
    const struct listener *l = argument;
    for (;;) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            peer_fail("accept: %m");
        without_delay(fd);
        peer_thread(answer, new_stream(fd, fd, l->bytes));
    }
}

static void serve_at(int fd, const struct peer_options *options)
{
    struct listener *l = peer_new(sizeof *l);
    l->fd = fd;
    l->bytes = options->payload_bytes;
    peer_thread(accept_callers, l);
}

static struct sockaddr_un address_of(const struct peer_options *options)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", options->at);
    if (n < 0 || (size_t)n >= sizeof address.sun_path)
        peer_fail("%s/socket: too long for a socket's name", options->at);
    return address;
}

int kernel_listen(const struct peer_options *options, int type)
{
    struct sockaddr_un address = address_of(options);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, SOMAXCONN) != 0)
        peer_fail("%s: %m", address.sun_path);
    return fd;
}

int kernel_connect(const struct peer_options *options, int type)
{
    struct sockaddr_un address = address_of(options);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        peer_fail("%s: %m", address.sun_path);
    return fd;
}

void kernel_remove_socket(const struct peer_options *options)
{
    struct sockaddr_un address = address_of(options);
    (void)unlink(address.sun_path);
}

static void serve_unix(const struct peer_options *options)
{
    serve_at(kernel_listen(options, SOCK_STREAM), options);
}

static void *open_unix(const struct peer_options *options, unsigned caller)
{
    (void)caller;
    int fd = kernel_connect(options, SOCK_STREAM);
    return new_stream(fd, fd, options->payload_bytes);
}

/* The port is one that is free; it stands in FOLDER/port. */
static void serve_tcp(const struct peer_options *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        peer_fail("loopback: %m");
    char *path = peer_path(options, "port");
    FILE *file = fopen(path, "we");
    if (file == NULL || fprintf(file, "%u\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0)
        peer_fail("%s: %m", path);
    free(path);
    serve_at(fd, options);
}

static uint16_t port_of(const struct peer_options *options)
{
    char text[16] = "";
    char *path = peer_path(options, "port");
    FILE *file = fopen(path, "re");
    const char *line = file == NULL ? NULL : fgets(text, sizeof text, file);
    if (file != NULL)
        (void)fclose(file);
    if (line == NULL)
        peer_fail("%s: no port", path);
    free(path);
    return (uint16_t)strtoul(text, NULL, 10);
}

static void *open_tcp(const struct peer_options *options, unsigned caller)
{
    (void)caller;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port_of(options)),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        peer_fail("loopback: %m");
    without_delay(fd);
    return new_stream(fd, fd, options->payload_bytes);
}

static void remove_port(const struct peer_options *options)
{
    char *path = peer_path(options, "port");
    (void)unlink(path);
    free(path);
}

/* Two pipes a caller, which have names so that the other process finds them. */
struct pipes {
    char *request;
    char *response;
    size_t bytes;
};

static int open_pipe(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        peer_fail("%s: %m", path);
    return fd;
}

/* Opening a named pipe waits for its other end. */
static void *serve_pipes(void *argument)
{
    struct pipes *p = argument;
    int in = open_pipe(p->request, O_RDONLY);
    int out = open_pipe(p->response, O_WRONLY);
    return answer(new_stream(in, out, p->bytes));
}

static void serve_pipe(const struct peer_options *options)
{
    for (unsigned i = 0; i < options->callers; i++) {
        struct pipes *p = peer_new(sizeof *p);
        p->request = peer_path_of(options, "request", i);
        p->response = peer_path_of(options, "response", i);
        p->bytes = options->payload_bytes;
        if (mkfifo(p->request, 0600) != 0 || mkfifo(p->response, 0600) != 0)
            peer_fail("%s: %m", p->request);
        peer_thread(serve_pipes, p);
    }
}

static void *open_pipes(const struct peer_options *options, unsigned caller)
{
    char *request = peer_path_of(options, "request", caller);
    char *response = peer_path_of(options, "response", caller);
    int out = open_pipe(request, O_WRONLY);
    int in = open_pipe(response, O_RDONLY);
    free(request);
    free(response);
    return new_stream(in, out, options->payload_bytes);
}

static void remove_pipes(const struct peer_options *options)
{
    for (unsigned i = 0; i < options->callers; i++) {
        char *request = peer_path_of(options, "request", i);
        char *response = peer_path_of(options, "response", i);
        (void)unlink(request);
        (void)unlink(response);
        free(request);
        free(response);
    }
}

const struct way way_pipe = {"pipe", serve_pipe, open_pipes, call, remove_pipes};
const struct way way_unix_stream = {"unix-stream", serve_unix, open_unix, call,
                                    kernel_remove_socket};
const struct way way_tcp = {"tcp", serve_tcp, open_tcp, call, remove_port};
