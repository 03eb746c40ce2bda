/* SPDX-License-Identifier: Apache-2.0 */
/* A forwarding of Unix sockets by two dx forward, with the test at both ends. */
#ifndef DX_TEST_FORWARD_SCENE_H
#define DX_TEST_FORWARD_SCENE_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tool_run.h"

#define WORDS 14

/* A forwarding of Unix sockets: `in` is where it listens, `out` where it connects to. */
struct forwarding {
    const struct transport *transport;
    char url[TEST_URL_BYTES];
    char in[108];
    char out[108];
    char listen_at[120];
    char connect_to[120];
    const char *conns;
    bool dialer_creates;
    int target; /* listens at `out` */
    pid_t dialer;
    pid_t server;
};

static inline struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, path, strlen(path));
    return a;
}

/* Starts dx forward, and returns when it is ready. */
static inline pid_t start_tool(const char *const *words)
{
    int output[2];
    char line[16] = "";
    const char *arguments[WORDS] = {"dx", "forward"};
    for (int i = 0; words[i] != NULL; i++)
        arguments[i + 2] = words[i];
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)execv(DX_TOOL, (char **)arguments);
        _exit(127);
    }
    assert_true(pid > 0);
    (void)close(output[1]);
    assert_int_equal(read(output[0], line, sizeof line - 1), 6);
    assert_string_equal(line, "ready\n");
    (void)close(output[0]);
    return pid;
}

static inline int end_tool(pid_t *pid, int signal_number)
{
    int status = 0;
    if (*pid > 0) {
        (void)kill(*pid, signal_number);
        (void)waitpid(*pid, &status, 0);
    }
    *pid = 0;
    return status;
}

static inline void start_dialer(struct forwarding *f)
{
    f->dialer = start_tool((const char *[]){"-listen", f->listen_at,
                                            f->dialer_creates ? "-create" : "-attach", "-conns",
                                            f->conns, "-buffer", "3000", f->url, NULL});
}

static inline void start_server(struct forwarding *f)
{
    f->server = start_tool((const char *[]){f->url, "-connect", f->connect_to, "-conns", f->conns,
                                            "-buffer", "3K",
                                            f->dialer_creates ? "-attach" : "-create", NULL});
}

static inline void listen_at_target(struct forwarding *f)
{
    struct sockaddr_un a = unix_address(f->out);
    f->target = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->target, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(f->target, 16), 0);
}

static inline struct forwarding *forwarding_new(void **state, const char *conns,
                                                bool dialer_creates)
{
    static int number;
    static const char *in;
    static const char *out;
    char tag[40];
    if (in == NULL) {
        in = test_path("in");
        out = test_path("out");
    }
    struct forwarding *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->transport = *state;
    *state = f;
    f->conns = conns;
    f->dialer_creates = dialer_creates;
    (void)snprintf(tag, sizeof tag, "forward-%s-%d", f->transport->name, number++);
    (void)f->transport->url(test_path(tag), f->url);
    (void)snprintf(f->in, sizeof f->in, "%s", in);
    (void)snprintf(f->out, sizeof f->out, "%s", out);
    (void)snprintf(f->listen_at, sizeof f->listen_at, "unix:%s", f->in);
    (void)snprintf(f->connect_to, sizeof f->connect_to, "unix:%s", f->out);
    listen_at_target(f);
    start_dialer(f);
    start_server(f);
    return f;
}

static inline int set_none(void **state)
{
    (void)state;
    return 0;
}

static inline int end_forwarding(void **state)
{
    struct forwarding *f = *state;
    (void)end_tool(&f->dialer, SIGKILL);
    (void)end_tool(&f->server, SIGKILL);
    (void)close(f->target);
    (void)unlink(f->in);
    (void)unlink(f->out);
    (void)unlink(f->url + strcspn(f->url, "/"));
    (void)run("reset", f->url, NULL, NULL);
    free(f);
    return 0;
}

static inline int connect_in(const struct forwarding *f)
{
    struct sockaddr_un a = unix_address(f->in);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline int accept_out(const struct forwarding *f)
{
    int fd = accept4(f->target, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
}

static inline void hear(int fd, const char *text)
{
    char got[64] = "";
    assert_int_equal(recv(fd, got, strlen(text), MSG_WAITALL), (int)strlen(text));
    assert_string_equal(got, text);
}

/* In good order or not, nothing comes any more. */
static inline void hear_the_end(int fd)
{
    char byte;
    assert_true(recv(fd, &byte, 1, 0) <= 0);
}

static inline void close_both(int in, int out)
{
    (void)close(in);
    (void)close(out);
}

static inline void exchange(const struct forwarding *f)
{
    int in = connect_in(f);
    int out = accept_out(f);
    say(in, "question");
    hear(out, "question");
    say(out, "answer");
    hear(in, "answer");
    close_both(in, out);
}

#endif
