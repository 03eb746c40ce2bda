/* SPDX-License-Identifier: Apache-2.0 */
/* Names that somebody else took first, to be followed into, to be waited for or to be believed.
 * Whoever wants to be host or guest there is told so, and whatever it is stays as it was. */
#include <sys/sysmacros.h>

#include "transports.h"
#include "users.h"

#define BLANK_BYTES 65536 /* a host would take as many zeros for its region */

static const struct dx_config some = {.slots = 2, .request_capacity = 64, .response_capacity = 64};

struct scene {
    const struct transport *transport;
    const char *path;
    const char *target; /* what links lead to */
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct child child;
};

static int set_scene(void **state)
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
    (void)snprintf(tag, sizeof tag, "%s-%d-target", s->transport->name, number);
    s->target = test_path(tag);
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    return 0;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    child_kill(&s->child);
    (void)close(s->tally_fd);
    free(s);
    *state = NULL;
    return 0;
}

/* What is put under the name; the target of a link is the victim's own blank file. */
struct squat {
    const char *path;
    const char *target;
    mode_t mode; /* kind and permissions */
};

static int make_squat(void *user)
{
    const struct squat *q = user;
    (void)umask(0);
    if (S_ISLNK(q->mode))
        return symlink(q->target, q->path) == 0 ? 0 : 2;
    if (S_ISDIR(q->mode))
        return mkdir(q->path, q->mode & 07777) == 0 ? 0 : 2;
    if (mknod(q->path, q->mode, S_ISCHR(q->mode) ? makedev(1, 3) : 0) != 0)
        return 2;
    return S_ISREG(q->mode) && truncate(q->path, BLANK_BYTES) != 0 ? 3 : 0;
}

static void squat(struct user user, const struct squat *q)
{
    int status = as_user(user, make_squat, (void *)q);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        print_error("%s cannot make %s with mode %o (a device needs the right to make one)\n",
                    user.name, q->path, (unsigned)q->mode);
    assert_exited(status);
}

static void make_target(const struct scene *s, struct user owner)
{
    make_file(s->target, BLANK_BYTES, 0);
    assert_int_equal(chown(s->target, owner.uid, owner.gid), 0);
}

static void remove_all(const struct scene *s)
{
    if (unlink(s->path) != 0)
        assert_int_equal(rmdir(s->path), 0);
    assert_int_equal(unlink(s->target), 0);
}

/* The victim meets this, is told so, and all stays. */
static void meet(const struct scene *s, struct user squatter, struct user victim, mode_t mode,
                 const struct verdict expected[WAYS])
{
    const struct squat q = {s->path, s->target, mode};
    make_target(s, victim);
    squat(squatter, &q);
    struct snapshot name = take_snapshot(s->path);
    struct snapshot target = take_snapshot(s->target);
    assert_ways(victim, s->url, &some, expected);
    assert_unchanged(s->path, &name);
    assert_unchanged(s->target, &target);
    remove_all(s);
}

#define DENIED                                                                                     \
    {                                                                                              \
        DX_ERR_PERMISSION, "Permission denied"                                                     \
    }
#define FOREIGN                                                                                    \
    {                                                                                              \
        DX_ERR_PERMISSION, "belongs to user"                                                       \
    }
#define NO_FILE                                                                                    \
    {                                                                                              \
        DX_ERR_PERMISSION, "not a regular file"                                                    \
    }
#define NO_SOCKET                                                                                  \
    {                                                                                              \
        DX_ERR_PERMISSION, "no socket"                                                             \
    }
#define LINK                                                                                       \
    {                                                                                              \
        DX_ERR_PERMISSION, "a symbolic link"                                                       \
    }
#define FOLDER                                                                                     \
    {                                                                                              \
        DX_ERR_SYSTEM, "Is a directory"                                                            \
    }
#define SOCKET                                                                                     \
    {                                                                                              \
        DX_ERR_SYSTEM, "No such device or address"                                                 \
    }

/* What create, attach and observe say to a user, and to root, who can open everything. */
struct row {
    mode_t mode;
    struct verdict to_owner[WAYS];
    struct verdict to_root[WAYS];
    struct verdict at_socket; /* to both, where a socket ought to be */
};

static void what_a_stranger_put_there_is_refused_and_stays(void **state)
{
    static const struct row rows[] = {
        {S_IFREG | 0666, {FOREIGN, FOREIGN, FOREIGN}, {FOREIGN, FOREIGN, FOREIGN}, NO_SOCKET},
        {S_IFREG | 0644, {DENIED, DENIED, FOREIGN}, {FOREIGN, FOREIGN, FOREIGN}, NO_SOCKET},
        {S_IFREG | 0600, {DENIED, DENIED, DENIED}, {FOREIGN, FOREIGN, FOREIGN}, NO_SOCKET},
        {S_IFLNK, {LINK, LINK, LINK}, {LINK, LINK, LINK}, LINK},
        {S_IFIFO | 0666, {NO_FILE, NO_FILE, NO_FILE}, {NO_FILE, NO_FILE, NO_FILE}, NO_SOCKET},
        {S_IFIFO | 0600, {DENIED, DENIED, DENIED}, {NO_FILE, NO_FILE, NO_FILE}, NO_SOCKET},
        {S_IFDIR | 0777, {FOLDER, FOLDER, NO_FILE}, {FOLDER, FOLDER, NO_FILE}, NO_SOCKET},
        {S_IFSOCK | 0666, {SOCKET, SOCKET, SOCKET}, {SOCKET, SOCKET, SOCKET}, FOREIGN},
    };
    const struct scene *s = *state;
    bool at_socket = S_ISSOCK(s->transport->kind);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        const struct verdict to_both[] = {r->at_socket, r->at_socket, r->at_socket};
        meet(s, user_stranger(), user_owner(), r->mode, at_socket ? to_both : r->to_owner);
        meet(s, user_stranger(), user_root(), r->mode, at_socket ? to_both : r->to_root);
    }
}

/* On a file system without devices the kernel denies what we would refuse. */
static void a_device_is_refused(void **state)
{
    static const struct verdict some_text[] = {
        {DX_ERR_PERMISSION, NULL}, {DX_ERR_PERMISSION, NULL}, {DX_ERR_PERMISSION, NULL}};
    const struct scene *s = *state;
    meet(s, user_root(), user_owner(), S_IFCHR | 0666, some_text);
    meet(s, user_root(), user_root(), S_IFCHR | 0600, some_text);
}

/* A link of one's own may lead where another user has put something by now. */
static void a_link_of_ones_own_is_refused_as_well(void **state)
{
    static const struct verdict link[] = {LINK, LINK, LINK};
    const struct scene *s = *state;
    meet(s, user_owner(), user_owner(), S_IFLNK, link);
    meet(s, user_root(), user_root(), S_IFLNK, link);
}

static void a_file_of_ones_own_that_others_may_use_is_refused(void **state)
{
    static const mode_t modes[] = {0666, 0622, 0644, 0660, 0602, 0604};
    const struct scene *s = *state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char named[32];
        (void)snprintf(named, sizeof named, "mode %04o", (unsigned)modes[i]);
        const struct verdict v = {DX_ERR_PERMISSION, named};
        const struct verdict expected[] = {v, v, v};
        meet(s, user_owner(), user_owner(), s->transport->kind | modes[i], expected);
        meet(s, user_root(), user_root(), s->transport->kind | modes[i], expected);
    }
}

static void start_host(struct scene *s, struct user user)
{
    s->child = user_start(user, "000", "host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->child), 'a');
}

/* A region in perfect order, living or left, whose host is the wrong user. */
static void a_region_of_a_strangers_is_refused_and_stays(void **state)
{
    static const struct verdict foreign[] = {FOREIGN, FOREIGN, FOREIGN};
    static const struct verdict denied[] = {DENIED, DENIED, DENIED};
    struct scene *s = *state;
    bool at_socket = S_ISSOCK(s->transport->kind);
    start_host(s, user_stranger());
    for (int dead = 0; dead < 2; dead++) {
        for (int open = 0; open < 2; open++) {
            assert_int_equal(chmod(s->path, open ? 0666 : 0600), 0);
            struct snapshot before = take_snapshot(s->path);
            assert_ways(user_owner(), s->url, &some, at_socket || open ? foreign : denied);
            assert_ways(user_root(), s->url, &some, foreign);
            assert_unchanged(s->path, &before);
        }
        child_kill(&s->child);
    }
}

/* A link to one's own living region: the very bytes, by another name. */
static void a_link_to_a_living_region_is_refused(void **state)
{
    static const struct verdict link[] = {LINK, LINK, LINK};
    struct scene *s = *state;
    char url[TEST_URL_BYTES];
    start_host(s, user_owner());
    const struct squat q = {s->target, s->path, S_IFLNK};
    (void)s->transport->url(s->target, url);
    struct snapshot before = take_snapshot(s->path);
    const struct user planters[] = {user_owner(), user_stranger()};
    for (size_t i = 0; i < 2; i++) {
        squat(planters[i], &q);
        assert_ways(user_owner(), url, &some, link);
        assert_int_equal(unlink(s->target), 0);
    }
    assert_unchanged(s->path, &before);
}

/* Whoever opens a leased file waits until its holder lets go: 45 seconds, if it never does. */
static int lease(const char *path)
{
    char command;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    (void)signal(SIGIO, SIG_IGN);
    if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
        return 100;
    child_report('a');
    (void)!read(CHILD_COMMANDS, &command, 1);
    return 0;
}

static void a_leased_file_is_not_waited_for(void **state)
{
    static const struct verdict busy[] = {{DX_ERR_SYSTEM, "cannot be opened"},
                                          {DX_ERR_SYSTEM, "cannot be opened"},
                                          {DX_ERR_SYSTEM, "cannot be opened"}};
    struct scene *s = *state;
    const struct squat q = {s->path, NULL, S_IFREG | 0666};
    squat(user_stranger(), &q);
    struct snapshot before = take_snapshot(s->path);
    s->child = user_start(user_stranger(), "000", "lease", s->path, s->tally_fd);
    assert_int_equal(child_hear(&s->child), 'a');
    assert_ways(user_owner(), s->url, &some, busy);
    assert_ways(user_root(), s->url, &some, busy);
    child_kill(&s->child);
    assert_unchanged(s->path, &before);
}

/* In a folder where a stranger may rename, which that of shm: is not (process_users.c): the name
 * stands for the stranger's file by now. */
static int swap(void *user)
{
    const struct squat *q = user;
    return rename(q->path, q->target) == 0 ? make_squat(user) : 2;
}

static void a_name_that_was_swapped_is_neither_used_nor_removed(void **state)
{
    static const struct verdict foreign[] = {FOREIGN, FOREIGN, FOREIGN};
    struct scene *s = *state;
    char path[TEST_PATH_BYTES + 8];
    char aside[TEST_PATH_BYTES + 8];
    char url[TEST_URL_BYTES + 8];
    const struct squat q = {path, aside, S_IFREG | 0666};
    assert_int_equal(mkdir(s->path, 0777), 0);
    assert_int_equal(chmod(s->path, 0777), 0);
    (void)snprintf(path, sizeof path, "%s/region", s->path);
    (void)snprintf(aside, sizeof aside, "%s/aside", s->path);
    (void)snprintf(url, sizeof url, "file:%s", path);
    s->child = user_start(user_owner(), "000", "host", url, s->tally_fd);
    assert_int_equal(child_hear(&s->child), 'a');
    assert_exited(as_user(user_stranger(), swap, (void *)&q));
    struct snapshot before = take_snapshot(path);
    assert_ways(user_owner(), url, &some, foreign);
    child_tell(&s->child, 'q');
    assert_exited(child_end(&s->child));
    assert_unchanged(path, &before);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(aside), 0);
}

static void run_role(int argc, char **argv)
{
    if (argc != 3)
        return;
    argv[1] = user_enter_role(argv[1]);
    if (strcmp(argv[1], "lease") != 0)
        return;
    watchdog_show_stacks();
    exit(lease(argv[2]));
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST(what_a_stranger_put_there_is_refused_and_stays),
        TRANSPORT_TEST(a_device_is_refused),
        TRANSPORT_TEST(a_link_of_ones_own_is_refused_as_well),
        TRANSPORT_TEST(a_file_of_ones_own_that_others_may_use_is_refused),
        TRANSPORT_TEST(a_region_of_a_strangers_is_refused_and_stays),
        TRANSPORT_TEST(a_link_to_a_living_region_is_refused),
        TRANSPORT_TEST_OF("file", a_leased_file_is_not_waited_for),
        TRANSPORT_TEST_OF("file", a_name_that_was_swapped_is_neither_used_nor_removed),
    };
    run_role(argc, argv);
    child_main(argc, argv);
    users_need_root("process_squat");
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
