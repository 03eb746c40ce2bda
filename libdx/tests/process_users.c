/* SPDX-License-Identifier: Apache-2.0 */
/* Who may use a region: the user whose host made it and nobody else, tried by two real users and
 * by root. What stands under a name before a host comes is in process_squat.c. */
#include <sys/socket.h>
#include <sys/un.h>

#include "observer.h"
#include "transports.h"
#include "users.h"

/* What each try asks for; roles of child.h have sizes between these two. */
static const struct dx_config tiny = {.slots = 1};
static const struct dx_config huge = {
    .slots = 99, .request_capacity = 5000, .response_capacity = 5000};

/* By the kernel. */
static const struct verdict denied[] = {{DX_ERR_PERMISSION, "Permission denied"},
                                        {DX_ERR_PERMISSION, "Permission denied"},
                                        {DX_ERR_PERMISSION, "Permission denied"}};
/* By the library: root can open everything, and of a socket it looks at the owner first. */
static const struct verdict foreign[] = {{DX_ERR_PERMISSION, "belongs to user"},
                                         {DX_ERR_PERMISSION, "belongs to user"},
                                         {DX_ERR_PERMISSION, "belongs to user"}};
static const struct verdict hosted[] = {
    {DX_ERR_HOST_EXISTS, "a living host"}, {DX_OK, NULL}, {DX_OK, NULL}};
static const struct verdict hosted_and_attached[] = {
    {DX_ERR_HOST_EXISTS, "a living host"}, {DX_ERR_GUEST_EXISTS, "a living guest"}, {DX_OK, NULL}};

/* What a user gets whose region it is not. */
static const struct verdict *refused(const struct transport *transport, struct user user)
{
    return user.uid == 0 || S_ISSOCK(transport->kind) ? foreign : denied;
}

struct scene {
    const struct transport *transport;
    const char *path;
    char url[TEST_URL_BYTES];
    int tally_fd;
    struct tally *tally;
    struct child host;
    struct child guest;
    struct child third;
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
    s->tally_fd = memfd_create("tally", MFD_CLOEXEC);
    assert_int_equal(ftruncate(s->tally_fd, sizeof(struct tally)), 0);
    s->tally = tally_map(s->tally_fd);
    assert_non_null(s->tally);
    return 0;
}

static int clear_scene(void **state)
{
    struct scene *s = *state;
    child_kill(&s->third);
    child_kill(&s->guest);
    child_kill(&s->host);
    (void)munmap(s->tally, sizeof *s->tally);
    (void)close(s->tally_fd);
    (void)unlink(s->path); /* of a host that was killed */
    free(s);
    *state = NULL;
    return 0;
}

static void start_host(struct scene *s, struct user user, const char *mask)
{
    s->host = user_start(user, mask, "host", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->host), 'a');
}

static void start_guest(struct scene *s, struct user user)
{
    s->guest = user_start(user, "000", "guest", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->guest), 'a');
}

/* A host, and a guest that serves it, both the owner's. */
static void start_both(struct scene *s)
{
    start_host(s, user_owner(), "000");
    start_guest(s, user_owner());
}

#define assert_refused(s, user, config)                                                            \
    assert_ways((user), (s)->url, (config), refused((s)->transport, (user)))

/* Calls whose answers are verified, while others do what they do. */
static void begin_calls(const struct scene *s)
{
    for (int i = 0; i < BURSTS; i++)
        child_tell(&s->host, 'c');
}

static void end_calls(const struct scene *s)
{
    for (int i = 0; i < BURSTS; i++)
        assert_int_equal(child_hear(&s->host), 'k');
}

/* For a region whose bytes change because it is in use. */
static struct stat identify(const char *path)
{
    struct stat s;
    assert_int_equal(lstat(path, &s), 0);
    return s;
}

static void assert_identity(const char *path, struct stat before)
{
    struct stat now = identify(path);
    assert_int_equal(now.st_ino, before.st_ino);
    assert_int_equal(now.st_size, before.st_size);
    assert_int_equal(now.st_mode, before.st_mode);
    assert_int_equal(now.st_uid, before.st_uid);
}

/* Also shows that each of these users can use the library at all. */
static void a_region_is_its_hosts_alone_whatever_the_umask(void **state)
{
    static const char *const masks[] = {"000", "022", "077", "777"};
    const struct user users[] = {user_owner(), user_stranger(), user_root()};
    struct scene *s = *state;
    for (size_t i = 0; i < 12; i++) {
        struct user user = users[i / 4];
        start_host(s, user, masks[i % 4]);
        struct stat region = identify(s->path);
        assert_int_equal(region.st_mode, s->transport->kind | 0600);
        assert_int_equal(region.st_uid, user.uid);
        assert_int_equal(region.st_gid, user.gid);
        assert_int_equal(region.st_nlink, 1);
        assert_ways(user, s->url, &tiny, hosted);
        child_tell(&s->host, 'q');
        assert_exited(child_end(&s->host));
        assert_false(exists(s->path));
    }
}

/* Returns how many of these the kernel let a stranger do. */
static int meddle(void *user)
{
    const char *path = user;
    char other[TEST_PATH_BYTES + 8];
    (void)snprintf(other, sizeof other, "%s-other", path);
    int done = 0;
    done += open(path, O_RDONLY | O_CLOEXEC) >= 0;
    done += open(path, O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0;
    done += truncate(path, 0) == 0;
    done += chmod(path, 0666) == 0;
    done += rename(path, other) == 0;
    done += unlink(path) == 0;
    done += rename(other, path) == 0;
    return done;
}

static void another_user_gets_nowhere_while_calls_go_on(void **state)
{
    struct scene *s = *state;
    start_both(s);
    struct stat before = identify(s->path);
    begin_calls(s);
    assert_refused(s, user_stranger(), &tiny);
    assert_refused(s, user_stranger(), &huge);
    assert_exited(as_user(user_stranger(), meddle, (void *)s->path));
    end_calls(s);
    assert_identity(s->path, before);
    begin_calls(s);
    end_calls(s);
    /* The owner is told that it lives, and not that it may not. */
    assert_ways(user_owner(), s->url, &tiny, hosted_and_attached);
}

/* With nobody at work every byte must stay. */
static void no_byte_of_a_region_is_changed_by_another_user(void **state)
{
    struct scene *s = *state;
    start_host(s, user_owner(), "000");
    struct snapshot before = take_snapshot(s->path);
    assert_refused(s, user_stranger(), &tiny);
    assert_refused(s, user_stranger(), &huge);
    assert_refused(s, user_root(), &tiny);
    assert_refused(s, user_root(), &huge);
    assert_unchanged(s->path, &before);
}

static void another_user_cannot_take_over_what_a_dead_host_left(void **state)
{
    struct scene *s = *state;
    start_both(s);
    begin_calls(s);
    end_calls(s);
    child_kill(&s->host);
    child_kill(&s->guest);
    struct snapshot before = take_snapshot(s->path);
    assert_refused(s, user_stranger(), &tiny);
    assert_refused(s, user_stranger(), &huge);
    assert_refused(s, user_root(), &huge);
    assert_unchanged(s->path, &before);
    start_both(s);
    begin_calls(s);
    end_calls(s);
}

static void root_is_another_user_as_well(void **state)
{
    struct scene *s = *state;
    char named[64];
    start_both(s);
    begin_calls(s);
    assert_refused(s, user_root(), &tiny);
    end_calls(s);
    /* It is told whose it is. */
    (void)snprintf(named, sizeof named, "belongs to user %u, we are user 0",
                   (unsigned)user_owner().uid);
    const struct verdict whose[] = {
        {DX_ERR_PERMISSION, named}, {DX_ERR_PERMISSION, named}, {DX_ERR_PERMISSION, named}};
    assert_ways(user_root(), s->url, &tiny, whose);
    begin_calls(s);
    end_calls(s);
}

static void a_region_of_roots_is_roots_alone(void **state)
{
    struct scene *s = *state;
    start_host(s, user_root(), "000");
    start_guest(s, user_root());
    begin_calls(s);
    assert_refused(s, user_owner(), &huge);
    assert_refused(s, user_stranger(), &tiny);
    end_calls(s);
}

static void a_second_host_of_the_same_user_changes_nothing(void **state)
{
    struct scene *s = *state;
    const struct dx_config same = child_config();
    const struct dx_config *const sizes[] = {&tiny, &same, &huge};
    start_host(s, user_owner(), "000");
    struct snapshot before = take_snapshot(s->path);
    for (size_t i = 0; i < 3; i++)
        assert_create(user_owner(), s->url, sizes[i], hosted);
    assert_unchanged(s->path, &before);
    start_guest(s, user_owner());
    begin_calls(s);
    for (size_t i = 0; i < 3; i++)
        assert_create(user_owner(), s->url, sizes[i], hosted);
    end_calls(s);
}

static void a_guest_that_closes_or_dies_leaves_the_hosts_name(void **state)
{
    struct scene *s = *state;
    start_host(s, user_owner(), "000");
    struct stat before = identify(s->path);
    assert_ways(user_owner(), s->url, &tiny, hosted); /* one attaches and closes */
    assert_identity(s->path, before);
    start_guest(s, user_owner());
    child_kill(&s->guest);
    assert_identity(s->path, before);
    /* Nor when the host is dead and cannot mind. */
    start_guest(s, user_owner());
    child_kill(&s->host);
    (void)child_end(&s->guest);
    assert_identity(s->path, before);
}

/* The file that an unnamed region lies in, passed on to another user's process. */
static int attach_to_memfd(void *user)
{
    struct dx_channel *channel = NULL;
    dx_status status = dx_attach(user, NULL, 0, &channel);
    dx_status observed = dx_observe(user, &channel);
    bool named = strstr(dx_last_error(), "belongs to user 0") != NULL;
    return status == DX_ERR_PERMISSION && observed == DX_ERR_PERMISSION && named ? 0 : 2;
}

static void an_inherited_descriptor_of_another_user_is_refused(void **state)
{
    (void)state;
    struct dx_channel *host = NULL;
    char url[32];
    assert_status(dx_create("memfd:", &tiny, &host), DX_OK);
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(host));
    int status = as_user(user_stranger(), attach_to_memfd, url);
    assert_status(dx_close(host), DX_OK);
    assert_exited(status);
}

/* Whoever connects by himself is given nothing either: what a client hears is its memory. */
static int knock(void *user)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char byte;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", (const char *)user);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return errno == EACCES ? 0 : 2;
    return recv(fd, &byte, 1, 0) <= 0 ? 1 : 3;
}

static void a_socket_gives_nothing_to_another_user(void **state)
{
    struct scene *s = *state;
    start_both(s);
    begin_calls(s);
    assert_exited(as_user(user_stranger(), knock, (void *)s->path));
    int root = as_user(user_root(), knock, (void *)s->path);
    int owner = as_user(user_owner(), knock, (void *)s->path);
    end_calls(s);
    assert_int_equal(WEXITSTATUS(root), 1);  /* let in by the kernel, dropped by the host */
    assert_int_equal(WEXITSTATUS(owner), 3); /* so that the two above have meant something */
}

/* The name is right, yet another user's process listens behind it. */
static void a_socket_at_which_another_user_listens_is_refused(void **state)
{
    static const struct verdict listens[] = {{DX_ERR_PERMISSION, " is user "},
                                             {DX_ERR_PERMISSION, " is user "},
                                             {DX_ERR_PERMISSION, " is user "}};
    struct scene *s = *state;
    const struct user owner = user_owner();
    start_host(s, user_stranger(), "000");
    assert_int_equal(chown(s->path, owner.uid, owner.gid), 0);
    assert_ways(owner, s->url, &tiny, listens);
    assert_int_equal(chown(s->path, 0, 0), 0);
    assert_ways(user_root(), s->url, &tiny, listens);
}

static void an_observer_sees_the_traffic_and_cannot_disturb_it(void **state)
{
    struct scene *s = *state;
    start_both(s);
    s->third = user_start(user_owner(), "000", "observer", s->url, s->tally_fd);
    assert_int_equal(child_hear(&s->third), OBSERVER_READ_ONLY);
    for (int i = 0; i < 3; i++) {
        begin_calls(s);
        assert_refused(s, user_stranger(), &tiny); /* no observer either */
        end_calls(s);
        child_tell(&s->third, 'n');
        assert_int_equal(child_hear(&s->third), OBSERVER_COUNTS);
    }
    child_tell(&s->third, 'q');
    assert_exited(child_end(&s->third));
    begin_calls(s);
    end_calls(s);
}

static void run_role(int argc, char **argv)
{
    if (argc != 3)
        return;
    argv[1] = user_enter_role(argv[1]);
    if (strcmp(argv[1], "observer") != 0)
        return;
    watchdog_show_stacks();
    const char *file = strrchr(argv[2], strncmp(argv[2], "shm:", 4) == 0 ? ':' : '/') + 1;
    for (size_t i = 0; i < TRANSPORTS; i++)
        if (strncmp(argv[2], transports[i].name, strlen(transports[i].name)) == 0 &&
            transports[i].mapped_as != NULL)
            file = transports[i].mapped_as;
    exit(observe_as_told(argv[2], file));
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST(a_region_is_its_hosts_alone_whatever_the_umask),
        TRANSPORT_TEST(another_user_gets_nowhere_while_calls_go_on),
        TRANSPORT_TEST(no_byte_of_a_region_is_changed_by_another_user),
        TRANSPORT_TEST(another_user_cannot_take_over_what_a_dead_host_left),
        TRANSPORT_TEST(root_is_another_user_as_well),
        TRANSPORT_TEST(a_region_of_roots_is_roots_alone),
        TRANSPORT_TEST(a_second_host_of_the_same_user_changes_nothing),
        TRANSPORT_TEST(a_guest_that_closes_or_dies_leaves_the_hosts_name),
        TRANSPORT_TEST_OF("shm", an_inherited_descriptor_of_another_user_is_refused),
        TRANSPORT_TEST_OF("unix", a_socket_gives_nothing_to_another_user),
        TRANSPORT_TEST_OF("unix", a_socket_at_which_another_user_listens_is_refused),
        TRANSPORT_TEST(an_observer_sees_the_traffic_and_cannot_disturb_it),
    };
    run_role(argc, argv);
    child_main(argc, argv);
    users_need_root("process_users");
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
