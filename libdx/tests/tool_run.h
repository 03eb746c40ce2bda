/* SPDX-License-Identifier: Apache-2.0 */
/* The command line tool dx, run as people and scripts do, and a region for it to be run on. */
#ifndef DX_TEST_TOOL_RUN_H
#define DX_TEST_TOOL_RUN_H

#include "child.h"
#include "files.h"
#include "json.h"
#include "lives.h"
#include "transports.h"

/* The build says which; a tool that only reads the source need not know. */
#ifndef DX_TOOL
#define DX_TOOL "/nonexistent/dx"
#endif

#define REPORT_BYTES 16384

struct result {
    int code; /* -1: ended by a signal */
    char out[REPORT_BYTES];
    char err[REPORT_BYTES];
};

static inline void read_back(int fd, char *text)
{
    ssize_t bytes = pread(fd, text, REPORT_BYTES - 1, 0);
    assert_true(bytes >= 0);
    text[bytes] = '\0';
    (void)close(fd);
}

#define ARGUMENTS 5

/* Runs dx with these arguments (NULL: none), its standard output to a descriptor of ours. */
struct command {
    const char *arguments[ARGUMENTS];
    int out;
    int err;
};

static inline int execute(void *user)
{
    const struct command *c = user;
    char *arguments[ARGUMENTS + 2] = {(char *)"dx"};
    for (int i = 0; i < ARGUMENTS && c->arguments[i] != NULL; i++)
        arguments[i + 1] = (char *)c->arguments[i];
    if (dup2(c->out, STDOUT_FILENO) < 0 || dup2(c->err, STDERR_FILENO) < 0)
        return 103;
    (void)execv(DX_TOOL, arguments);
    return 104;
}

static inline const struct result *run_command(struct command *command)
{
    static struct result r;
    command->out = memfd_create("out", MFD_CLOEXEC);
    command->err = memfd_create("err", MFD_CLOEXEC);
    int status = test_in_child(execute, command);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back(command->out, r.out);
    read_back(command->err, r.err);
    return &r;
}

static inline const struct result *run(const char *a, const char *b, const char *c, const char *d)
{
    return run_command(&(struct command){.arguments = {a, b, c, d}});
}

static inline void check_result(const struct result *r, int code, const char *word,
                                const char *file, int line)
{
    if (r->code == code && strstr(code == 0 ? r->out : r->err, word) != NULL)
        return;
    print_error("exit code %d, expected %d, with \"%s\"; output:\n%s\nerrors:\n%s\n", r->code, code,
                word, r->out, r->err);
    _fail(file, line);
}

/* It ended so and said this. */
#define assert_says(r, word) check_result((r), 0, (word), __FILE__, __LINE__)
#define assert_refuses(r, word) check_result((r), 1, (word), __FILE__, __LINE__)
#define assert_misused(r, word) check_result((r), 2, (word), __FILE__, __LINE__)

struct scene {
    const struct transport *transport;
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct child daemon;
    struct child host;
    struct child guest;
};

static inline int set_scene(void **state)
{
    static int number;
    char tag[32];
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->transport = *state;
    *state = s;
    (void)snprintf(tag, sizeof tag, "%s-%d", s->transport->name, number++);
    s->path = test_path(tag);
    (void)s->transport->url(s->path, s->url);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    return 0;
}

static inline int clear_scene(void **state)
{
    struct scene *s = *state;
    child_kill(&s->guest);
    child_kill(&s->host);
    child_kill(&s->daemon);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return 0;
}

static inline void start_host(struct scene *s)
{
    s->host = child_start("host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->host), 'a');
}

static inline void start_guest(struct scene *s)
{
    s->guest = child_start("guest", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->guest), 'a');
}

static inline void call_well(const struct scene *s)
{
    child_tell(&s->host, 'c');
    assert_int_equal(child_hear(&s->host), 'k');
}

static inline const char *pid_text(char *text, pid_t pid)
{
    (void)snprintf(text, 32, "process %d ", (int)pid);
    return text;
}

/* The value under a path of what info prints for programs. */
static inline void check_value(const char *json, const char *path, const char *expected,
                               const char *file, int line)
{
    char value[128] = "nothing";
    bool valid = json_is_valid(json);
    if (valid && json_get(json, path, value, sizeof value) && strcmp(value, expected) == 0)
        return;
    print_error("%s is %s, expected %s, in %s:\n%s\n", path, value, expected,
                valid ? "JSON" : "what is no JSON", json);
    _fail(file, line);
}

#define assert_value(r, path, expected)                                                            \
    check_value((r)->out, (path), (expected), __FILE__, __LINE__)

static inline void assert_number(const struct result *r, const char *path, uint64_t expected)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)expected);
    assert_value(r, path, text);
}

/* What info says of the states of both sides, in both of its forms. */
static inline const struct result *assert_states(const struct scene *s, const char *host,
                                                 const char *guest)
{
    char text[64];
    const struct result *r = run("info", s->url, NULL, NULL);
    (void)snprintf(text, sizeof text, "\nhost   %s ", host);
    assert_says(r, text);
    (void)snprintf(text, sizeof text, "\nguest  %s ", guest);
    assert_says(r, text);
    r = run("info", "-json", s->url, NULL);
    assert_int_equal(r->code, 0);
    (void)snprintf(text, sizeof text, "\"%s\"", host);
    assert_value(r, "peers.host.state", text);
    (void)snprintf(text, sizeof text, "\"%s\"", guest);
    assert_value(r, "peers.guest.state", text);
    return r;
}

static inline void put_magic(const struct scene *s, uint64_t magic)
{
    patch_file(s->path, 0, &magic, sizeof magic);
}

#endif
