/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes behind a region before a host touches them: those of others stay as they are, whatever
 * lies before them, and memory is reserved whatever the system says to that. The fallocate of this
 * program fails as a test asks for.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "channel.h"
#include "files.h"
#include "peers.h"
#include "region.h"
#include "transports.h"

#define KIB ((size_t)1024)
#define TIB ((off_t)1 << 40)

static int failures_left;
static int failure;

/* In place of the C library's. */
int fallocate(int fd, int mode, off_t from, off_t bytes)
{
    if (mode == 0 && failures_left > 0) {
        failures_left--;
        errno = failure;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, from, bytes);
}

static void fail_to_allocate(int error, int times)
{
    failure = error;
    failures_left = times;
}

static const struct dx_config small = {.slots = 1, .request_capacity = 64, .response_capacity = 64};

/* A sparse file with one byte in it. */
static void make_sparse(const char *path, off_t bytes, off_t at)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, bytes), 0);
    if (at >= 0)
        assert_int_equal(pwrite(fd, "x", 1, at), 1);
    (void)close(fd);
}

static void assert_refused(const char *url, const char *path, uint32_t guests)
{
    struct snapshot before = take_snapshot(path);
    struct dx_channel *c[3];
    assert_status(dx_create_places(url, &small, guests, c), DX_ERR_NOT_DX);
    assert_detail("left as it was");
    struct stat now;
    assert_int_equal(lstat(path, &now), 0);
    assert_int_equal(now.st_blocks, before.stat.st_blocks);
    assert_int_equal(now.st_mtim.tv_sec, before.stat.st_mtim.tv_sec);
    assert_int_equal(now.st_mtim.tv_nsec, before.stat.st_mtim.tv_nsec);
    assert_untouched(path, &before);
}

static void a_file_with_any_byte_is_refused_and_left_as_it_was(void **state)
{
    static const off_t places[] = {8, 4095, 4096, 20000, 64 * 1024, 300001, 1024 * 1024 - 1};
    char url[TEST_URL_BYTES];
    (void)state;
    for (size_t t = 0; t < TRANSPORTS; t++) {
        if (!S_ISREG(transports[t].kind))
            continue;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            char tag[32];
            (void)snprintf(tag, sizeof tag, "%s-%zu", transports[t].name, i);
            const char *path = test_path(tag);
            make_sparse(path, 1024 * 1024, places[i]);
            (void)transports[t].url(path, url);
            assert_refused(url, path, 1);
            assert_refused(url, path, 3);
        }
    }
}

/* Zeros that were written, as at the beginning of disk images. */
static void written_zeros_before_the_data_change_nothing(void **state)
{
    char url[TEST_URL_BYTES];
    const char *path = test_path("written");
    (void)state;
    make_file(path, 256 * KIB, 0);
    patch_file(path, 200000, "x", 1);
    assert_refused(test_file_url(path, url), path, 1);
    patch_file(path, 200000, "", 1);
    struct dx_channel *c;
    assert_status(dx_create(url, &small, &c), DX_OK);
    assert_status(dx_close(c), DX_OK);
}

/* A rendezvous that somebody else serves. */
struct served {
    struct dx_rendezvous *server;
    pthread_t thread;
    _Atomic bool ends;
};

static void *step(void *user)
{
    struct served *s = user;
    while (!atomic_load(&s->ends))
        if (can_read(dx_rendezvous_fd(s->server), 10))
            dx_rendezvous_step(s->server);
    return NULL;
}

static void data_in_the_memory_of_a_rendezvous_is_refused(void **state)
{
    const char *path = test_path("served");
    char url[TEST_URL_BYTES];
    struct served s = {.server = NULL};
    struct dx_channel *c;
    char byte = 0;
    (void)state;
    int memory = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(memory, 64 * 1024), 0);
    assert_int_equal(fchmod(memory, 0600), 0);
    assert_int_equal(pwrite(memory, "x", 1, 60000), 1);
    assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    const struct dx_rendezvous_config config = {.memory = memory, .vectors = 1, .self = -1};
    assert_status(dx_rendezvous_open(path, &config, &s.server), DX_OK);
    assert_status(dx_rendezvous_publish(s.server), DX_OK);
    assert_int_equal(pthread_create(&s.thread, NULL, step, &s), 0);
    dx_status status = dx_create(test_unix_url(path, url), &small, &c);
    atomic_store(&s.ends, true);
    (void)pthread_join(s.thread, NULL);
    dx_rendezvous_close(s.server);
    assert_status(status, DX_ERR_NOT_DX);
    assert_int_equal(pread(memory, &byte, 1, 60000), 1);
    assert_int_equal(byte, 'x');
    (void)close(memory);
}

/* Reading it all would take longer than the program has. */
static void a_large_sparse_file_costs_nothing(void **state)
{
    const char *path = test_path("large");
    char url[TEST_URL_BYTES];
    struct dx_channel *c;
    struct stat s;
    (void)state;
    make_sparse(path, TIB, -1);
    assert_status(dx_create(test_file_url(path, url), &small, &c), DX_OK);
    uint64_t bytes = dx_channel_region_bytes(c);
    assert_int_equal(lstat(path, &s), 0);
    assert_true((uint64_t)s.st_blocks * 512 < bytes + 64 * KIB);
    assert_status(dx_close(c), DX_OK);
    (void)unlink(path);
    make_sparse(path, TIB, TIB - 1);
    assert_status(dx_create(url, &small, &c), DX_ERR_NOT_DX);
}

static void assert_created(const char *url)
{
    struct dx_channel *c;
    assert_status(dx_create(url, &small, &c), DX_OK);
    assert_int_equal(failures_left, 0);
    assert_status(dx_close(c), DX_OK);
}

static void an_interrupted_reservation_goes_on(void **state)
{
    char url[TEST_URL_BYTES];
    (void)state;
    for (size_t t = 0; t < TRANSPORTS; t++) {
        const char *path = test_path("eintr");
        fail_to_allocate(EINTR, 40);
        assert_created(transports[t].url(path, url));
        (void)unlink(path);
    }
    fail_to_allocate(EINTR, 40);
    assert_created("memfd:");
}

/* In old files and new ones zeros are written instead. */
static void a_file_system_that_cannot_reserve_is_written_to(void **state)
{
    const char *path = test_path("cannot");
    char url[TEST_URL_BYTES];
    struct dx_channel *c;
    struct stat s;
    (void)state;
    fail_to_allocate(EOPNOTSUPP, 1);
    assert_created(test_shm_url(test_path("new"), url));
    make_sparse(path, 64 * 1024, -1);
    fail_to_allocate(EOPNOTSUPP, 1);
    assert_status(dx_create(test_file_url(path, url), &small, &c), DX_OK);
    assert_int_equal(lstat(path, &s), 0);
    assert_true((uint64_t)s.st_blocks * 512 >= dx_channel_region_bytes(c));
    assert_status(dx_close(c), DX_OK);
}

static void no_room_leaves_a_file_as_it_was(void **state)
{
    const char *path = test_path("room");
    char url[TEST_URL_BYTES];
    struct dx_channel *c;
    (void)state;
    make_sparse(path, 64 * 1024, -1);
    struct snapshot before = take_snapshot(path);
    fail_to_allocate(ENOSPC, 1);
    assert_status(dx_create(test_file_url(path, url), &small, &c), DX_ERR_SYSTEM);
    assert_detail("no room for");
    struct stat now;
    assert_int_equal(lstat(path, &now), 0);
    assert_int_equal(now.st_blocks, before.stat.st_blocks);
    assert_untouched(path, &before);
    assert_created(url);
}

struct limited {
    const char *url;
    const char *text;
    struct dx_config config;
};

static int create_limited(void *user)
{
    const struct limited *l = user;
    const struct rlimit limit = {16384, 16384};
    struct dx_channel *c;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    if (dx_create(l->url, &l->config, &c) != DX_ERR_SYSTEM)
        return 2;
    return strstr(dx_last_error(), l->text) != NULL ? 0 : 3;
}

static void a_limit_of_file_sizes_is_an_error_with_its_value(void **state)
{
    char url[TEST_URL_BYTES];
    struct limited l = {url, "16384", {.slots = 1, .request_capacity = 64 * 1024}};
    (void)state;
    for (size_t t = 0; t < TRANSPORTS; t++) {
        (void)transports[t].url(test_path("limit"), url);
        assert_exited(test_in_child(create_limited, &l));
    }
    l.url = "memfd:";
    assert_exited(test_in_child(create_limited, &l));
}

/* On machines with larger pages no mapping could begin elsewhere. */
static void places_begin_at_multiples_of_64_kib(void **state)
{
    static const size_t capacities[] = {0, 64, 4096, 65536, 100000};
    (void)state;
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        const struct dx_config config = {.slots = 1, .request_capacity = capacities[i]};
        struct dx_channel *hosts[3];
        struct dx_channel *guests[3];
        char url[32];
        assert_status(dx_create_places("memfd:", &config, 3, hosts), DX_OK);
        (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(hosts[0]));
        for (uint32_t g = 0; g < 3; g++) {
            assert_int_equal(hosts[g]->region.offset % (64 * KIB), 0);
            assert_status(dx_attach(url, NULL, PATIENCE, &guests[g]), DX_OK);
            assert_int_equal(guests[g]->region.offset, hosts[g]->region.offset);
            assert_int_equal(guests[g]->region.place, g);
        }
        for (uint32_t g = 3; g-- > 0;) {
            assert_status(dx_close(guests[g]), DX_OK);
            assert_status(dx_close(hosts[g]), DX_OK);
        }
    }
}

static int count_mappings(const char *name)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, name) != NULL;
    (void)fclose(maps);
    return count;
}

/* As on hugetlbfs, where a mapping begins and ends with a page. */
static void a_part_of_a_large_page_is_mapped_and_unmapped_with_all_of_it(void **state)
{
    const uint64_t page = 2048 * KIB;
    int fd = memfd_create("dx-pages", MFD_CLOEXEC);
    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)(2 * page)), 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)(page + 3 * 64 * KIB)), 1);
    char *at = dx_region_map_part(fd, page + 3 * 64 * KIB, 16 * KIB, false, page);
    assert_non_null(at);
    assert_int_equal(at[0], 'x');
    assert_int_equal(count_mappings("dx-pages"), 1);
    dx_region_unmap_part(at, page + 3 * 64 * KIB, 16 * KIB, page);
    assert_int_equal(count_mappings("dx-pages"), 0);
    (void)close(fd);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_with_any_byte_is_refused_and_left_as_it_was),
        cmocka_unit_test(written_zeros_before_the_data_change_nothing),
        cmocka_unit_test(data_in_the_memory_of_a_rendezvous_is_refused),
        cmocka_unit_test(a_large_sparse_file_costs_nothing),
        cmocka_unit_test(an_interrupted_reservation_goes_on),
        cmocka_unit_test(a_file_system_that_cannot_reserve_is_written_to),
        cmocka_unit_test(no_room_leaves_a_file_as_it_was),
        cmocka_unit_test(a_limit_of_file_sizes_is_an_error_with_its_value),
        cmocka_unit_test(places_begin_at_multiples_of_64_kib),
        cmocka_unit_test(a_part_of_a_large_page_is_mapped_and_unmapped_with_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
