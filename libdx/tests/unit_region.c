/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be a region is refused: with a status of its own, a detail that names it, and
 * without a change to whatever is there. */
#include <grp.h>

#include "channel.h"
#include "files.h"

#define NOBODY 65534

static const struct dx_config small = {.slots = 1, .request_capacity = 64, .response_capacity = 64};

static dx_status try_create(const char *url)
{
    struct dx_channel *channel = NULL;
    dx_status status = dx_create(url, &small, &channel);
    if (status == DX_OK)
        (void)dx_close(channel);
    else
        assert_null(channel);
    return status;
}

static dx_status try_attach(const char *url)
{
    struct dx_channel *channel = NULL;
    dx_status status = dx_attach(url, NULL, 0, &channel);
    if (status == DX_OK)
        (void)dx_close(channel);
    else
        assert_null(channel);
    return status;
}

static dx_status try_observe(const char *url)
{
    struct dx_channel *channel = NULL;
    dx_status status = dx_observe(url, &channel);
    if (status == DX_OK)
        (void)dx_close(channel);
    else
        assert_null(channel);
    return status;
}

/* What each of the three says of a URL, with this text in its detail. */
struct verdict {
    dx_status create;
    dx_status attach;
    dx_status observe;
};

static void check_url(const char *url, struct verdict v, const char *named)
{
    assert_status(try_create(url), v.create);
    assert_detail(named);
    assert_status(try_attach(url), v.attach);
    assert_detail(named);
    assert_status(try_observe(url), v.observe);
    assert_detail(named);
}

/* The same of a file, by both kinds of URL. */
static void check_file(const char *path, struct verdict v, const char *named)
{
    char url[TEST_URL_BYTES];
    struct snapshot before = take_snapshot(path);
    check_url(test_file_url(path, url), v, named);
    check_url(test_shm_url(path, url), v, named);
    assert_untouched(path, &before);
}

#define ALL(status)                                                                                \
    (struct verdict)                                                                               \
    {                                                                                              \
        status, status, status                                                                     \
    }

static void a_url_of_no_known_transport_is_refused(void **state)
{
    (void)state;
    check_url(NULL, ALL(DX_ERR_URL), "no URL");
    check_url("", ALL(DX_ERR_URL), "shm:NAME");
    check_url("tcp:localhost", ALL(DX_ERR_URL), "tcp:localhost");
    check_url("SHM:name", ALL(DX_ERR_URL), "SHM:name");
    check_url("shm", ALL(DX_ERR_URL), "shm");
}

static void a_name_that_leaves_its_folder_is_refused(void **state)
{
    (void)state;
    char longest[300] = "shm:";
    check_url("shm:", ALL(DX_ERR_URL), "shm:");
    check_url("shm:.", ALL(DX_ERR_URL), "shm:.");
    check_url("shm:..", ALL(DX_ERR_URL), "shm:..");
    check_url("shm:.hidden", ALL(DX_ERR_URL), "shm:.hidden");
    check_url("shm:/name", ALL(DX_ERR_URL), "shm:/name");
    check_url("shm:a/../../tmp/b", ALL(DX_ERR_URL), "shm:a/../../tmp/b");
    check_url("shm:a b", ALL(DX_ERR_URL), "character 2");
    check_url("shm:gr\xc3\xbc\xc3\x9f", ALL(DX_ERR_URL), "character 3");
    memset(longest + 4, 'x', 201);
    check_url(longest, ALL(DX_ERR_URL), "200 characters");
    longest[4 + 200] = '\0';
    assert_status(try_attach(longest), DX_ERR_NO_PEER);
}

static void a_path_of_no_length_or_too_much_is_refused(void **state)
{
    (void)state;
    char path[5006] = "file:";
    check_url("file:", ALL(DX_ERR_URL), "this one has 0");
    memset(path + 5, 'x', 5000);
    check_url(path, ALL(DX_ERR_URL), "this one has 5000");
}

static void a_memfd_needs_the_number_of_a_region(void **state)
{
    (void)state;
    int pipes[2];
    char url[32];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_status(try_create("memfd:3"), DX_ERR_URL);
    assert_detail("memfd:3");
    assert_status(try_attach("memfd:"), DX_ERR_URL);
    assert_detail("memfd:");
    check_url("memfd:x", ALL(DX_ERR_URL), "memfd:x");
    check_url("memfd:-1", ALL(DX_ERR_URL), "memfd:-1");
    check_url("memfd:3x", ALL(DX_ERR_URL), "memfd:3x");
    check_url("memfd:4294967299", ALL(DX_ERR_URL), "memfd:4294967299");
    assert_status(try_attach("memfd:987654"), DX_ERR_SYSTEM);
    assert_detail("memfd:987654");
    (void)snprintf(url, sizeof url, "memfd:%d", pipes[0]);
    assert_status(try_attach(url), DX_ERR_PERMISSION);
    assert_detail(url);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

static void a_memfd_that_is_another_file_is_refused(void **state)
{
    (void)state;
    const char *path = test_path("foreign");
    char url[32];
    make_file(path, 8192, 'x');
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct snapshot before = take_snapshot(path);
    (void)snprintf(url, sizeof url, "memfd:%d", fd);
    assert_status(try_attach(url), DX_ERR_NOT_DX);
    assert_detail(url);
    assert_status(try_observe(url), DX_ERR_NOT_DX);
    assert_untouched(path, &before);
    (void)close(fd);
    (void)unlink(path);
}

static void a_missing_folder_is_named(void **state)
{
    (void)state;
    const char *url = "file:/dev/shm/dx-test-no-such-folder/region";
    const char *path = "/dev/shm/dx-test-no-such-folder/region";
    check_url(url, (struct verdict){DX_ERR_SYSTEM, DX_ERR_NO_PEER, DX_ERR_NO_PEER}, path);
}

static void a_file_that_is_no_region_is_left_as_it_was(void **state)
{
    (void)state;
    const char *path = test_path("text");
    make_file(path, 3 * 4096, 'x');
    check_file(path, ALL(DX_ERR_NOT_DX), path);
    (void)unlink(path);
    /* All zero is no region either, but a host may use it, and a guest waits for that. */
    make_file(path, 1 << 20, 0);
    char url[TEST_URL_BYTES];
    assert_status(try_attach(test_file_url(path, url)), DX_ERR_NO_PEER);
    assert_detail(path);
    assert_detail("no host has begun");
    /* What is not zero somewhere in its header is somebody's. */
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 4095), 1);
    (void)close(fd);
    assert_status(try_attach(url), DX_ERR_NOT_DX);
    (void)unlink(path);
}

static void a_file_that_is_too_short_is_left_as_it_was(void **state)
{
    (void)state;
    const char *path = test_path("short");
    const size_t sizes[] = {0, 1, 100, 4095};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char named[64];
        (void)snprintf(named, sizeof named, "has %zu bytes", sizes[i]);
        make_file(path, sizes[i], 0);
        check_file(path, ALL(DX_ERR_SHORT), named);
        (void)unlink(path);
    }
    make_file(path, 4096, 0); /* a header's room, and no more */
    check_file(path, (struct verdict){DX_ERR_SHORT, DX_ERR_NO_PEER, DX_ERR_NO_PEER}, path);
    (void)unlink(path);
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    const char *target = test_path("target");
    const char *path = test_path("link");
    make_file(target, 1 << 16, 0);
    struct snapshot before = take_snapshot(target);
    assert_int_equal(symlink(target, path), 0);
    check_file(path, ALL(DX_ERR_PERMISSION), path);
    assert_untouched(target, &before);
    (void)unlink(target);
    check_file(path, ALL(DX_ERR_PERMISSION), path); /* and leads nowhere */
    assert_false(exists(target));
    (void)unlink(path);
}

static void a_file_with_two_names_is_refused(void **state)
{
    (void)state;
    const char *target = test_path("target");
    const char *path = test_path("second-name");
    make_file(target, 1 << 16, 0);
    assert_int_equal(link(target, path), 0);
    struct snapshot before = take_snapshot(target);
    check_file(path, ALL(DX_ERR_PERMISSION), "2 names");
    assert_untouched(target, &before);
    (void)unlink(target);
    (void)unlink(path);
}

static void what_is_not_a_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    const char *path = test_path("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    check_file(path, ALL(DX_ERR_PERMISSION), path);
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    check_file(path, (struct verdict){DX_ERR_SYSTEM, DX_ERR_SYSTEM, DX_ERR_PERMISSION}, path);
    (void)rmdir(path);
}

static void a_file_that_is_open_to_others_is_refused(void **state)
{
    (void)state;
    const char *path = test_path("mode");
    const mode_t modes[] = {0644, 0660, 0606, 0601, 0610};
    make_file(path, 1 << 16, 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char named[16];
        (void)snprintf(named, sizeof named, "%04o", (unsigned)modes[i]);
        assert_int_equal(chmod(path, modes[i]), 0);
        check_file(path, ALL(DX_ERR_PERMISSION), named);
        check_file(path, ALL(DX_ERR_PERMISSION), path);
    }
    (void)unlink(path);
}

static void a_file_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip(); /* only root can give a file away */
    const char *path = test_path("owner");
    char named[64];
    make_file(path, 1 << 16, 0);
    assert_int_equal(chown(path, NOBODY, NOBODY), 0);
    (void)snprintf(named, sizeof named, "belongs to user %d", NOBODY);
    check_file(path, ALL(DX_ERR_PERMISSION), named);
    (void)unlink(path);
}

/* For a child that has been root. */
static int try_as_nobody(void *user)
{
    const char *url = user;
    if (setgroups(0, NULL) != 0 || setegid(NOBODY) != 0 || seteuid(NOBODY) != 0)
        return 2;
    if (try_create(url) != DX_ERR_PERMISSION || strstr(dx_last_error(), url + 5) == NULL)
        return 3;
    if (try_attach(url) != DX_ERR_PERMISSION || strstr(dx_last_error(), url + 5) == NULL)
        return 4;
    return try_observe(url) == DX_ERR_PERMISSION ? 0 : 5;
}

static void another_user_gets_nowhere(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    const char *path = test_path("root");
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    assert_status(dx_create(test_file_url(path, url), &small, &host), DX_OK);
    struct snapshot before = take_snapshot(path);
    assert_exited(test_in_child(try_as_nobody, url));
    assert_untouched(path, &before);
    assert_status(dx_close(host), DX_OK);
}

/* A header that a living host has, damaged field by field. */
static void a_header_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        uint64_t value;
        dx_status status;
        const char *named;
    } wrong[] = {
        {offsetof(struct dx_header, magic), 0x4141414141414141, DX_ERR_NOT_DX,
         "0x4141414141414141"},
        {offsetof(struct dx_header, version), 3ull << 16 | 4, DX_ERR_VERSION, "3.4"},
        {offsetof(struct dx_header, region_bytes), 1ull << 40, DX_ERR_SHORT, "1099511627776"},
        {offsetof(struct dx_header, guests), 7, DX_ERR_GEOMETRY, "7 guests"},
        {offsetof(struct dx_header, host_slots), 5000, DX_ERR_GEOMETRY, "5000"},
        {offsetof(struct dx_header, payload_offset), UINT64_MAX, DX_ERR_GEOMETRY, "damaged"},
    };
    const char *path = test_path("damaged");
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    assert_status(dx_create(test_file_url(path, url), &small, &host), DX_OK);
    const struct dx_header right = *host->header;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        patch_file(path, (off_t)wrong[i].offset, &wrong[i].value, sizeof wrong[i].value);
        struct snapshot before = take_snapshot(path);
        assert_status(try_attach(url), wrong[i].status);
        assert_detail(wrong[i].named);
        assert_detail(path);
        assert_status(try_observe(url), wrong[i].status);
        assert_detail(path);
        assert_untouched(path, &before);
        patch_file(path, 0, &right, sizeof right);
    }
    assert_status(try_attach(url), DX_OK);
    assert_status(dx_close(host), DX_OK);
}

static void sizes_out_of_range_are_refused_before_anything_is_made(void **state)
{
    (void)state;
    const char *path = test_path("sizes");
    char url[TEST_URL_BYTES];
    struct dx_channel *channel = NULL;
    struct dx_config config = small;
    test_file_url(path, url);
    config.slots = DX_SLOTS_MAX + 1;
    assert_status(dx_create(url, &config, &channel), DX_ERR_INVALID);
    assert_detail("4097 slots");
    config = small;
    config.guest_slots = UINT32_MAX;
    assert_status(dx_create(url, &config, &channel), DX_ERR_INVALID);
    config = small;
    config.request_capacity = DX_CAPACITY_MAX + 1;
    assert_status(dx_create(url, &config, &channel), DX_ERR_INVALID);
    assert_detail("1073741825");
    assert_null(channel);
    assert_false(exists(path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_of_no_known_transport_is_refused),
        cmocka_unit_test(a_name_that_leaves_its_folder_is_refused),
        cmocka_unit_test(a_path_of_no_length_or_too_much_is_refused),
        cmocka_unit_test(a_memfd_needs_the_number_of_a_region),
        cmocka_unit_test(a_memfd_that_is_another_file_is_refused),
        cmocka_unit_test(a_missing_folder_is_named),
        cmocka_unit_test(a_file_that_is_no_region_is_left_as_it_was),
        cmocka_unit_test(a_file_that_is_too_short_is_left_as_it_was),
        cmocka_unit_test(a_link_is_not_followed),
        cmocka_unit_test(a_file_with_two_names_is_refused),
        cmocka_unit_test(what_is_not_a_regular_file_is_refused_without_waiting),
        cmocka_unit_test(a_file_that_is_open_to_others_is_refused),
        cmocka_unit_test(a_file_of_another_user_is_refused),
        cmocka_unit_test(another_user_gets_nowhere),
        cmocka_unit_test(a_header_that_cannot_be_is_refused),
        cmocka_unit_test(sizes_out_of_range_are_refused_before_anything_is_made),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
