/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that have their size but not their pages, in a file system without room: each is an error,
 * and never a SIGBUS. The file system is a tmpfs of 1 MiB in a mount namespace of a child.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "channel.h"
#include "region.h"
#include "test.h"

#define MIB (1024 * 1024)
#define URL_BYTES 256

/* What went wrong, as an exit code. */
enum {
    NO_NAMESPACE = 1,
    NO_FILE,
    WRONG_STATUS,
    WRONG_TEXT,
    FILE_CHANGED,
    NOT_THERE,
};

struct disk {
    char folder[64];
    char path[96];
    char url[URL_BYTES];
    int (*body)(struct disk *d);
};

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t wrote = write(fd, text, strlen(text));
    (void)close(fd);
    return wrote == (ssize_t)strlen(text) ? 0 : -1;
}

/* Root, or root of a user namespace of its own. */
static bool enter_namespace(void)
{
    char map[64];
    (void)snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());
    if (geteuid() == 0)
        return unshare(CLONE_NEWNS) == 0;
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", map) == 0;
}

static bool mount_disk(const char *folder)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", folder, "tmpfs", 0, "size=1m") == 0;
}

/* In the child. */
static int run(void *user)
{
    struct disk *d = user;
    return enter_namespace() && mount_disk(d->folder) ? d->body(d) : NO_NAMESPACE;
}

static void run_on_disk(int (*body)(struct disk *d))
{
    struct disk d = {.folder = "/tmp/dx-test-XXXXXX", .body = body};
    assert_non_null(mkdtemp(d.folder));
    (void)snprintf(d.path, sizeof d.path, "%s/region", d.folder);
    (void)snprintf(d.url, sizeof d.url, "file:%s", d.path);
    int status = test_in_child(run, &d);
    assert_int_equal(rmdir(d.folder), 0);
    assert_exited(status);
}

static bool make_sparse(const char *path, off_t bytes)
{
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    bool made = fd >= 0 && ftruncate(fd, bytes) == 0;
    if (fd >= 0)
        (void)close(fd);
    return made;
}

/* Takes all that the file system still has. */
static bool fill_up(const struct disk *d)
{
    static const char zeros[4096];
    char path[128];
    (void)snprintf(path, sizeof path, "%s/ballast", d->folder);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    while (fd >= 0 && write(fd, zeros, sizeof zeros) > 0)
        ;
    bool full = fd >= 0 && errno == ENOSPC;
    (void)close(fd);
    return full;
}

static bool punch(const char *path, uint64_t from, uint64_t bytes)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool done = fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                                     (off_t)bytes) == 0;
    if (fd >= 0)
        (void)close(fd);
    return done;
}

static int check(dx_status status, const char *text)
{
    if (status != DX_ERR_SYSTEM)
        return WRONG_STATUS;
    return strstr(dx_last_error(), text) != NULL ? 0 : WRONG_TEXT;
}

static const struct dx_config large = {.slots = 1, .request_capacity = 4 * MIB};
static const struct dx_config middle = {.slots = 1, .request_capacity = MIB / 2};

static int create_sparse(struct disk *d)
{
    struct dx_channel *c;
    struct stat s;
    if (!make_sparse(d->path, 8 * MIB))
        return NO_FILE;
    int code = check(dx_create(d->url, &large, &c), "no room for");
    if (code == 0 && (lstat(d->path, &s) != 0 || s.st_size != 8 * MIB || s.st_blocks != 0))
        code = FILE_CHANGED;
    /* What has room has it afterwards, too. */
    if (code == 0 && dx_create(d->url, &middle, &c) != DX_OK)
        return NOT_THERE;
    return code != 0 ? code : dx_close(c) == DX_OK ? 0 : NOT_THERE;
}

static int create_new(struct disk *d)
{
    struct dx_channel *c;
    int code = check(dx_create(d->url, &large, &c), "no room for");
    return code != 0 ? code : access(d->path, F_OK) == 0 ? FILE_CHANGED : 0;
}

/* Nobody has begun in it, and there is no room for as much as a look. */
static int look_at_holes(struct disk *d)
{
    struct dx_channel *c;
    if (!make_sparse(d->path, MIB) || !fill_up(d))
        return NO_FILE;
    int code = check(dx_attach(d->url, NULL, 0, &c), "its pages are not there");
    if (code == 0)
        code = check(dx_observe(d->url, &c), "its pages are not there");
    return code;
}

/* A region of which a part has no pages any more. */
static int lose_pages(struct disk *d, uint64_t from, uint64_t bytes)
{
    return punch(d->path, from, bytes) && fill_up(d) ? 0 : NO_FILE;
}

static int attach_without_payload(struct disk *d)
{
    struct dx_channel *host;
    struct dx_channel *guest;
    if (dx_create(d->url, &middle, &host) != DX_OK)
        return WRONG_STATUS;
    int code = lose_pages(d, host->geometry.region_bytes - MIB / 4, MIB / 8);
    if (code == 0)
        code = check(dx_attach(d->url, NULL, 0, &guest), "no room for");
    (void)dx_close(host);
    return code;
}

static int observe_without_counters(struct disk *d)
{
    static const struct dx_config many = {.slots = 100, .request_capacity = 64};
    struct dx_channel *host;
    struct dx_channel *observer;
    if (dx_create(d->url, &many, &host) != DX_OK)
        return WRONG_STATUS;
    int code = lose_pages(d, host->geometry.counters_offset, 8192);
    if (code == 0)
        code = check(dx_observe(d->url, &observer), "its pages are not there");
    (void)dx_close(host);
    return code;
}

static void a_sparse_file_without_room_is_an_error_and_stays_as_it_was(void **state)
{
    (void)state;
    run_on_disk(create_sparse);
}

static void a_new_file_without_room_is_an_error_and_no_file(void **state)
{
    (void)state;
    run_on_disk(create_new);
}

static void attaching_and_observing_holes_without_room_is_an_error(void **state)
{
    (void)state;
    run_on_disk(look_at_holes);
}

static void a_region_that_lost_its_payload_pages_is_refused_by_a_guest(void **state)
{
    (void)state;
    run_on_disk(attach_without_payload);
}

static void a_region_that_lost_its_counters_is_refused_by_an_observer(void **state)
{
    (void)state;
    run_on_disk(observe_without_counters);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sparse_file_without_room_is_an_error_and_stays_as_it_was),
        cmocka_unit_test(a_new_file_without_room_is_an_error_and_no_file),
        cmocka_unit_test(attaching_and_observing_holes_without_room_is_an_error),
        cmocka_unit_test(a_region_that_lost_its_payload_pages_is_refused_by_a_guest),
        cmocka_unit_test(a_region_that_lost_its_counters_is_refused_by_an_observer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
