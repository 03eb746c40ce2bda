/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two real users for tests of permissions. The test is root; its children become the owner of a
 * region, or a stranger, for good. A role of child.h is then written as USER/UMASK/ROLE.
 */
#ifndef DX_TEST_USERS_H
#define DX_TEST_USERS_H

#include <grp.h>
#include <pwd.h>

#include "child.h"
#include "files.h"

struct user {
    const char *name;
    uid_t uid;
    gid_t gid;
};

static inline struct user user_find(const char *name, const char *account, uid_t otherwise)
{
    const struct passwd *entry = getpwnam(account);
    if (entry == NULL || entry->pw_uid == 0)
        return (struct user){name, otherwise, otherwise};
    return (struct user){name, entry->pw_uid, entry->pw_gid};
}

static inline struct user user_owner(void)
{
    return user_find("owner", "nobody", 65534);
}

static inline struct user user_stranger(void)
{
    return user_find("stranger", "daemon", 65533);
}

static inline struct user user_root(void)
{
    return (struct user){"root", 0, 0};
}

static inline struct user user_named(const char *name)
{
    const struct user users[] = {user_owner(), user_stranger()};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        if (strcmp(users[i].name, name) == 0)
            return users[i];
    return user_root();
}

/* In a child: no way back. Changing the user also forgets that we are to die with our parent, and
 * makes what /proc says of us root's. */
static inline void user_become(struct user user)
{
    pid_t parent = getppid();
    if (user.uid != 0 &&
        (setgroups(0, NULL) != 0 || setresgid(user.gid, user.gid, user.gid) != 0 ||
         setresuid(user.uid, user.uid, user.uid) != 0 || seteuid(0) == 0 || getuid() != user.uid)) {
        (void)fprintf(stderr, "cannot become user %u: %s\n", (unsigned)user.uid, strerror(errno));
        _exit(110);
    }
    if (prctl(PR_SET_DUMPABLE, 1) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        getppid() != parent)
        _exit(111);
}

/* First thing in main: a test that proves nothing must not pass. */
static inline void users_need_root(const char *program)
{
    if (geteuid() == 0)
        return;
    (void)fprintf(stderr, "%s: needs root to become two users; it is user %u and tests nothing\n",
                  program, (unsigned)geteuid());
    exit(1);
}

/* Runs body in a child that is this user. */
struct user_body {
    struct user user;
    int (*body)(void *user);
    void *argument;
};

static inline int user_run_body(void *user)
{
    const struct user_body *b = user;
    user_become(b->user);
    return b->body(b->argument);
}

static inline int as_user(struct user user, int (*body)(void *user), void *argument)
{
    struct user_body b = {user, body, argument};
    return test_in_child(user_run_body, &b);
}

static inline struct child user_start(struct user user, const char *mask, const char *role,
                                      const char *url, int tally_fd)
{
    char words[64];
    (void)snprintf(words, sizeof words, "%s/%s/%s", user.name, mask, role);
    return child_start(words, url, tally_fd);
}

/* In main: becomes the user of a role; what is left of the role is returned. */
static inline char *user_enter_role(char *words)
{
    char *mask = strchr(words, '/');
    char *role = mask != NULL ? strchr(mask + 1, '/') : NULL;
    if (role == NULL)
        _exit(112);
    *mask++ = *role++ = '\0';
    user_become(user_named(words));
    (void)umask((mode_t)strtoul(mask, NULL, 8));
    return role;
}

/* What a user gets from each way in, tried one after the other in a process of its own. */
enum way { CREATE, ATTACH, OBSERVE, WAYS };

struct verdict {
    dx_status status;
    const char *named; /* what the text must hold, NULL: anything */
};

struct outcome {
    dx_status status;
    char text[512];
};

struct attempt {
    const char *url;
    const struct dx_config *config;
    int ways;                 /* CREATE ... ways - 1 */
    struct outcome *outcomes; /* WAYS of them, shared with the child */
};

static inline int try_ways(void *user)
{
    const struct attempt *a = user;
    for (int way = CREATE; way < a->ways; way++) {
        struct dx_channel *channel = NULL;
        struct outcome *o = &a->outcomes[way];
        o->status = way == CREATE   ? dx_create(a->url, a->config, &channel)
                    : way == ATTACH ? dx_attach(a->url, NULL, 0, &channel)
                                    : dx_observe(a->url, &channel);
        (void)snprintf(o->text, sizeof o->text, "%s", o->status == DX_OK ? "" : dx_last_error());
        if ((o->status == DX_OK) != (channel != NULL) || dx_close(channel) != DX_OK)
            return 3;
    }
    return 0;
}

static inline bool outcome_is(const struct outcome *o, struct verdict expected, const char *way,
                              const struct attempt *a, struct user user)
{
    if (o->status == expected.status &&
        (expected.named == NULL || strstr(o->text, expected.named) != NULL))
        return true;
    print_error("%s by %s: %s: status %d (%s), \"%s\"; expected %d (%s), \"%s\"\n", way, user.name,
                a->url, (int)o->status, dx_status_string(o->status), o->text, (int)expected.status,
                dx_status_string(expected.status), expected.named != NULL ? expected.named : "");
    return false;
}

static inline void check_ways(struct user user, struct attempt a, const struct verdict expected[],
                              const char *file, int line)
{
    static const char *const names[] = {"create", "attach", "observe"};
    struct outcome outcomes[WAYS];
    a.outcomes =
        mmap(NULL, sizeof outcomes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(a.outcomes != MAP_FAILED);
    int ended = as_user(user, try_ways, &a);
    memcpy(outcomes, a.outcomes, sizeof outcomes);
    (void)munmap(a.outcomes, sizeof outcomes);
    test_check_exit(ended, file, line);
    bool all = true;
    for (int way = CREATE; way < a.ways; way++)
        all = outcome_is(&outcomes[way], expected[way], names[way], &a, user) && all;
    if (!all)
        _fail(file, line);
}

/* The user gets exactly this from create, attach and observe; from create alone. */
#define assert_ways(user, url, config, expected)                                                   \
    check_ways((user), (struct attempt){(url), (config), WAYS, NULL}, (expected), __FILE__,        \
               __LINE__)
#define assert_create(user, url, config, expected)                                                 \
    check_ways((user), (struct attempt){(url), (config), CREATE + 1, NULL}, (expected), __FILE__,  \
               __LINE__)

/* As assert_untouched, and neither written to nor changed in owner or mode in between. */
static inline void assert_unchanged(const char *path, struct snapshot *before)
{
    struct stat now;
    assert_int_equal(lstat(path, &now), 0);
    const struct stat *then = &before->stat;
    bool same = now.st_uid == then->st_uid && now.st_gid == then->st_gid &&
                memcmp(&now.st_mtim, &then->st_mtim, sizeof now.st_mtim) == 0 &&
                memcmp(&now.st_ctim, &then->st_ctim, sizeof now.st_ctim) == 0;
    assert_untouched(path, before);
    if (!same)
        print_error("%s: owner, group, mtime or ctime has changed\n", path);
    assert_true(same);
}

#endif
