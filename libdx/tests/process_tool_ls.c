/* SPDX-License-Identifier: Apache-2.0 */
/* dx ls: what it finds, and how it tells what lives from what is left behind; dx reset -all-dead,
 * which clears the latter and nothing else. Each test looks only at its own URL: others run. */
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "tool_run.h"

static const struct result *list(const char *prefix)
{
    const struct result *r = run("ls", "-json", prefix, NULL);
    assert_int_equal(r->code, 0);
    assert_true(json_is_valid(r->out));
    return r;
}

/* Of the first one that is listed; the list is valid JSON. */
static void check_listed(const struct result *r, const char *path, const char *expected,
                         const char *file, int line)
{
    char value[1024] = "nothing";
    if (json_get(strchr(r->out, '[') + 1, path, value, sizeof value) &&
        strcmp(value, expected) == 0)
        return;
    print_error("%s is %s, expected %s, in:\n%s\n", path, value, expected, r->out);
    _fail(file, line);
}

#define assert_listed(r, path, expected) check_listed((r), (path), (expected), __FILE__, __LINE__)

static void check_not_listed(const char *prefix)
{
    assert_says(run("ls", prefix, NULL, NULL), "no such region");
    assert_string_equal(list(prefix)->out, "[\n]\n");
}

static void usage_is_taught_and_misuse_is_refused(void **state)
{
    (void)state;
    assert_says(run("ls", "-h", NULL, NULL), "Exit codes");
    assert_says(run("ls", "-h", NULL, NULL), "Example");
    assert_misused(run("ls", "-wrong", NULL, NULL), "-wrong");
    assert_misused(run("ls", "shm:a", "shm:b", NULL), "2 are given");
    assert_misused(run("reset", "-all-dead", "-force", NULL), "-force");
    assert_misused(run("reset", "-yes", "shm:a", NULL), "-yes");
    assert_misused(run("reset", "-all-dead", "shm:a", "shm:b"), "2 are given");
}

/* What lies in /dev/shm is listed by its short URL. */
static const char *listed_as(const struct scene *s, char *url)
{
    return strcmp(s->transport->name, "unix") == 0 ? test_unix_url(s->path, url)
                                                   : test_shm_url(s->path, url);
}

static void a_living_region_is_listed(void **state)
{
    struct scene *s = *state;
    char pid[32];
    char url[TEST_URL_BYTES];
    char quoted[TEST_URL_BYTES + 2];
    check_not_listed(listed_as(s, url));
    start_host(s);
    start_guest(s);
    call_well(s);
    (void)snprintf(pid, sizeof pid, "open %d ", (int)s->host.pid);
    assert_says(run("ls", url, NULL, NULL), pid);
    (void)snprintf(pid, sizeof pid, "open %d ", (int)s->guest.pid);
    assert_says(run("ls", url, NULL, NULL), pid);
    assert_says(run("ls", url, NULL, NULL), "alive");
    const struct result *r = list(url);
    (void)snprintf(pid, sizeof pid, "%d", (int)s->host.pid);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", url);
    assert_listed(r, "url", quoted);
    assert_listed(r, "kind", "\"region\"");
    assert_listed(r, "alive", "true");
    assert_listed(r, "dead", "false");
    assert_listed(r, "places", "1");
    assert_listed(r, "host.state", "\"open\"");
    assert_listed(r, "host.pid", pid);
    assert_listed(r, "slots.host", "2");
    assert_listed(r, "slots.guest", "1");
    call_well(s);
    assert_says(run("reset", "-all-dead", "-yes", url), "nothing is left behind");
    call_well(s);
}

static void what_a_dead_host_left_is_listed_and_cleared(void **state)
{
    struct scene *s = *state;
    leave_stale(s->url, small);
    (void)test_shm_url(s->path, s->url);
    assert_says(run("ls", s->url, NULL, NULL), "left behind");
    const struct result *r = list(s->url);
    assert_listed(r, "alive", "false");
    assert_listed(r, "dead", "true");
    assert_listed(r, "host.state", "\"dead\"");
    struct snapshot before = take_snapshot(s->path);
    r = run("reset", "-all-dead", s->url, NULL);
    assert_refuses(r, "-yes");
    assert_non_null(strstr(r->out, s->url));
    assert_untouched(s->path, &before);
    assert_says(run("reset", "-all-dead", "-yes", s->url), "removed");
    assert_false(exists(s->path));
    check_not_listed(s->url);
    assert_says(run("reset", "-all-dead", "-yes", s->url), "nothing is left behind");
}

static void damage_is_listed_and_cleared(void **state)
{
    struct scene *s = *state;
    make_file(s->path, 50000, 0xee);
    put_magic(s, DX_MAGIC);
    const struct result *r = list(s->url);
    assert_listed(r, "dead", "true");
    assert_non_null(strstr(r->out, "problem"));
    assert_says(run("ls", s->url, NULL, NULL), "left behind");
    assert_says(run("reset", "-all-dead", "-yes", s->url), "removed");
    assert_false(exists(s->path));
}

static void what_still_has_a_guest_is_kept(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    assert_int_equal(kill(s->guest.pid, SIGSTOP), 0);
    child_kill(&s->host);
    struct snapshot before = take_snapshot(s->path);
    assert_listed(list(s->url), "alive", "true");
    assert_says(run("reset", "-all-dead", "-yes", s->url), "nothing is left behind");
    assert_untouched(s->path, &before);
}

/* As a virtual machine does. */
static void what_another_process_maps_is_kept(void **state)
{
    struct scene *s = *state;
    char pid[32];
    leave_stale(s->url, small);
    int fd = open(s->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    (void)close(fd);
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    const struct result *r = list(s->url);
    assert_listed(r, "alive", "true");
    assert_listed(r, "mapped_by", pid);
    assert_says(run("reset", "-all-dead", "-yes", s->url), "nothing is left behind");
    assert_true(exists(s->path));
    assert_int_equal(munmap(page, 4096), 0);
    assert_says(run("reset", "-all-dead", "-yes", s->url), "removed");
}

static void others_files_are_no_business_of_ours(void **state)
{
    struct scene *s = *state;
    leave_stale(s->url, small);
    assert_int_equal(chmod(s->path, 0640), 0);
    check_not_listed(s->url);
    assert_int_equal(chmod(s->path, 0600), 0);
    if (chown(s->path, 65534, 65534) != 0)
        fail_msg("needs root to give a file to another user");
    check_not_listed(s->url);
    assert_says(run("reset", "-all-dead", "-yes", s->url), "nothing is left behind");
    assert_true(exists(s->path));
}

static void a_socket_that_a_dead_host_left_is_listed_and_cleared(void **state)
{
    struct scene *s = *state;
    start_host(s);
    child_kill(&s->host);
    const struct result *r = list(s->url);
    assert_listed(r, "kind", "\"socket\"");
    assert_listed(r, "dead", "true");
    assert_says(run("ls", s->url, NULL, NULL), "nobody listens");
    assert_says(run("reset", "-all-dead", "-yes", s->url), "removed");
    assert_false(exists(s->path));
}

/* Whose it was cannot be told. */
static void a_socket_elsewhere_is_listed_and_left(void **state)
{
    (void)state;
    struct test_paths *p = test_paths();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = p->path[p->count++];
    char url[TEST_URL_BYTES];
    (void)snprintf(path, TEST_PATH_BYTES, "/tmp/dx-test-%d-socket", (int)getpid());
    (void)test_unix_url(path, url);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    check_not_listed(url); /* it is in use */
    (void)close(fd);
    assert_listed(list(url), "dead", "false");
    assert_says(run("reset", "-all-dead", "-yes", url), "leave");
    assert_true(exists(path));
}

static void memory_without_a_name_is_listed_by_its_descriptor(void **state)
{
    struct scene *s = *state;
    char descriptor[64];
    (void)snprintf(s->url, sizeof s->url, "memfd:");
    start_host(s);
    (void)snprintf(descriptor, sizeof descriptor, "(/proc/%d/fd/", (int)s->host.pid);
    assert_says(run("ls", "memfd:", NULL, NULL), descriptor);
    (void)snprintf(descriptor, sizeof descriptor, "open %d ", (int)s->host.pid);
    assert_says(run("ls", "memfd:", NULL, NULL), descriptor);
}

/* Runs it with a terminal as standard input, at which this is typed. */
struct asked {
    const struct scene *scene;
    int terminal;
    int out;
};

static int reset_at_terminal(void *user)
{
    const struct asked *a = user;
    const struct command c = {{"reset", "-all-dead", a->scene->url, NULL}, a->out, a->out};
    if (dup2(a->terminal, STDIN_FILENO) < 0)
        return 105;
    return execute((void *)&c);
}

static void answer(const struct scene *s, const char *typed, const char *said)
{
    static struct result r;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    struct asked a = {s, open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC),
                      memfd_create("out", MFD_CLOEXEC)};
    assert_true(a.terminal >= 0);
    assert_int_equal(write(master, typed, strlen(typed)), strlen(typed));
    int status = test_in_child(reset_at_terminal, &a);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back(a.out, r.out);
    assert_says(&r, "[y/N]");
    assert_says(&r, said);
    (void)close(a.terminal);
    (void)close(master);
}

static void people_are_asked(void **state)
{
    struct scene *s = *state;
    leave_stale(s->url, small);
    answer(s, "n\n", "nothing was changed");
    answer(s, "\n", "nothing was changed");
    answer(s, "\x04", "nothing was changed");
    assert_true(exists(s->path));
    answer(s, "y\n", "removed");
    assert_false(exists(s->path));
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF("shm", usage_is_taught_and_misuse_is_refused),
        TRANSPORT_TEST(a_living_region_is_listed),
        TRANSPORT_TEST_OF_FILES(what_a_dead_host_left_is_listed_and_cleared),
        TRANSPORT_TEST_OF("shm", damage_is_listed_and_cleared),
        TRANSPORT_TEST_OF("shm", what_still_has_a_guest_is_kept),
        TRANSPORT_TEST_OF("shm", what_another_process_maps_is_kept),
        TRANSPORT_TEST_OF("shm", others_files_are_no_business_of_ours),
        TRANSPORT_TEST_OF("unix", a_socket_that_a_dead_host_left_is_listed_and_cleared),
        TRANSPORT_TEST_OF("unix", a_socket_elsewhere_is_listed_and_left),
        TRANSPORT_TEST_OF("shm", memory_without_a_name_is_listed_by_its_descriptor),
        TRANSPORT_TEST_OF("shm", people_are_asked),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
