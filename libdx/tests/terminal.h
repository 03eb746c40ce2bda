/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal for tests of what a program shows: tmux, whose server is a child that dies with the
 * test. What is waited for is a text on the screen.
 */
#ifndef DX_TEST_TERMINAL_H
#define DX_TEST_TERMINAL_H

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "test.h"

#define TERMINAL_WORDS 16
#define TERMINAL_BYTES 65536

struct terminal {
    pid_t server;
    pid_t watcher; /* a client in control mode, which says what the pane prints */
    int news;      /* where it says so */
    const char *socket;
    char screen[TERMINAL_BYTES]; /* as it was captured last */
};

/* Starts tmux with these words after the socket's; `fd` is all that it reads and prints to. */
static inline pid_t terminal_spawn(const struct terminal *t, const char *const *words, int fd)
{
    const char *arguments[TERMINAL_WORDS] = {"tmux", "-f", "/dev/null", "-S", t->socket};
    for (size_t i = 0; words[i] != NULL && i + 6 < TERMINAL_WORDS; i++)
        arguments[i + 5] = words[i];
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)unsetenv("TMUX");
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        if (getppid() != parent || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 ||
            dup2(fd, STDERR_FILENO) < 0)
            _exit(126);
        (void)execvp("tmux", (char *const *)arguments);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

/* Runs one command of tmux to its end; what it printed is in t->screen. Returns its exit code. The
 * watchdog is not told: a loop around this may hang. */
static inline int terminal_run(struct terminal *t, const char *const *words)
{
    int status = -1;
    int out = memfd_create("tmux", MFD_CLOEXEC);
    assert_true(out >= 0);
    pid_t pid = terminal_spawn(t, words, out);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ssize_t bytes = pread(out, t->screen, sizeof t->screen - 1, 0);
    t->screen[bytes > 0 ? bytes : 0] = '\0';
    (void)close(out);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        fail_msg("tmux is not installed");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define TERMINAL_RUN(t, ...) terminal_run((t), (const char *const[]){__VA_ARGS__, NULL})

static inline void terminal_watch(struct terminal *t)
{
    const char *const words[] = {"-C", "attach-session", "-f", "ignore-size", NULL};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    t->watcher = terminal_spawn(t, words, ends[1]);
    (void)close(ends[1]);
    t->news = ends[0];
}

/* Starts a terminal of this size, in which the shell runs a command. */
static inline void terminal_start(struct terminal *t, const char *columns, const char *lines,
                                  const char *command)
{
    const char *const server[] = {"-D", NULL};
    t->socket = test_path("tmux");
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    t->server = terminal_spawn(t, server, null);
    (void)close(null);
    /* Until the server listens. */
    while (TERMINAL_RUN(t, "-N", "new-session", "-d", "-x", columns, "-y", lines, command) != 0)
        (void)sched_yield();
    terminal_watch(t);
    watchdog_step();
}

static inline const char *terminal_screen(struct terminal *t)
{
    (void)TERMINAL_RUN(t, "capture-pane", "-p");
    return t->screen;
}

/* Waits until something was printed. What came before the next look is seen by it. */
static inline void terminal_await_news(const struct terminal *t)
{
    struct pollfd news = {.fd = t->news, .events = POLLIN};
    char said[4096];
    (void)poll(&news, 1, -1);
    while (recv(t->news, said, sizeof said, MSG_DONTWAIT) == (ssize_t)sizeof said)
        ;
}

/* Waits until the screen has this text, or has it no more. */
static inline void terminal_await(struct terminal *t, const char *text, bool there)
{
    while ((strstr(terminal_screen(t), text) != NULL) != there)
        terminal_await_news(t);
    watchdog_step();
}

static inline void terminal_type(struct terminal *t, const char *keys)
{
    assert_int_equal(TERMINAL_RUN(t, "send-keys", keys), 0);
}

static inline void terminal_end(struct terminal *t)
{
    int status;
    if (t->server == 0)
        return;
    (void)TERMINAL_RUN(t, "kill-server");
    (void)kill(t->server, SIGKILL);
    (void)waitpid(t->server, &status, 0);
    (void)close(t->news);
    (void)waitpid(t->watcher, &status, 0);
    (void)unlink(t->socket);
    test_paths()->count--; /* its name is free again */
    t->server = 0;
}

#endif
