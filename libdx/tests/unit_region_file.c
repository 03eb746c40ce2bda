/* SPDX-License-Identifier: Apache-2.0 */
/* The files behind regions: names, modes, seals, descriptors, and what an observer may do. */
#include <pthread.h>
#include <sys/mman.h>

#include "channel.h"
#include "files.h"

static const struct dx_config small = {.slots = 1, .request_capacity = 64, .response_capacity = 64};

static void a_region_is_open_to_nobody_else_whatever_the_umask(void **state)
{
    (void)state;
    const char *path = test_path("umask");
    const mode_t masks[] = {0, 022, 077, 0277, 0777};
    char urls[2][TEST_URL_BYTES];
    test_shm_url(path, urls[0]);
    test_file_url(path, urls[1]);
    for (size_t i = 0; i < 2 * sizeof masks / sizeof *masks; i++) {
        struct dx_channel *host = NULL;
        mode_t before = umask(masks[i / 2]);
        dx_status status = dx_create(urls[i % 2], &small, &host);
        (void)umask(before);
        assert_status(status, DX_OK);
        struct snapshot s = take_snapshot(path);
        free(s.bytes);
        assert_status(dx_close(host), DX_OK);
        assert_int_equal(s.stat.st_mode & 07777, 0600);
    }
}

static void descriptors_do_not_survive_an_exec(void **state)
{
    (void)state;
    const char *path = test_path("cloexec");
    char url[TEST_URL_BYTES];
    struct dx_channel *channels[4] = {NULL};
    char memfd[32];
    assert_status(dx_create(test_shm_url(path, url), &small, &channels[0]), DX_OK);
    assert_status(dx_attach(url, NULL, 0, &channels[1]), DX_OK);
    assert_status(dx_create("memfd:", &small, &channels[2]), DX_OK);
    (void)snprintf(memfd, sizeof memfd, "memfd:%d", dx_channel_fd(channels[2]));
    assert_status(dx_attach(memfd, NULL, 0, &channels[3]), DX_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(fcntl(dx_channel_fd(channels[i]), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    for (int i = 4; i-- > 0;)
        assert_status(dx_close(channels[i]), DX_OK);
}

static void a_memfd_cannot_be_cut_short(void **state)
{
    (void)state;
    struct dx_channel *host = NULL;
    struct dx_channel *guest = NULL;
    char url[32];
    assert_status(dx_create("memfd:", &small, &host), DX_OK);
    (void)snprintf(url, sizeof url, "memfd:%d", dx_channel_fd(host));
    assert_status(dx_attach(url, NULL, 0, &guest), DX_OK);
    const int fds[] = {dx_channel_fd(host), dx_channel_fd(guest)};
    for (int i = 0; i < 2; i++) {
        int seals = fcntl(fds[i], F_GET_SEALS);
        assert_int_equal(seals & F_SEAL_SHRINK, F_SEAL_SHRINK);
        assert_int_equal(seals & F_SEAL_SEAL, F_SEAL_SEAL);
        assert_int_equal(ftruncate(fds[i], 4096), -1);
        assert_int_equal(errno, EPERM);
    }
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
}

static void a_closing_host_removes_its_name_and_a_closing_guest_does_not(void **state)
{
    (void)state;
    const char *path = test_path("remove");
    char urls[2][TEST_URL_BYTES];
    test_shm_url(path, urls[0]);
    test_file_url(path, urls[1]);
    for (int i = 0; i < 2; i++) {
        struct dx_channel *host = NULL;
        struct dx_channel *guest = NULL;
        assert_status(dx_create(urls[i], &small, &host), DX_OK);
        assert_status(dx_attach(urls[i], NULL, 0, &guest), DX_OK);
        assert_status(dx_close(guest), DX_OK);
        assert_true(exists(path));
        assert_status(dx_close(host), DX_OK);
        assert_false(exists(path));
    }
}

static void a_name_that_belongs_to_another_file_by_now_is_not_removed(void **state)
{
    (void)state;
    const char *path = test_path("other");
    char url[TEST_URL_BYTES];
    struct dx_channel *first = NULL;
    struct dx_channel *second = NULL;
    assert_status(dx_create(test_shm_url(path, url), &small, &first), DX_OK);
    assert_int_equal(unlink(path), 0);
    assert_status(dx_create(url, &small, &second), DX_OK);
    struct snapshot before = take_snapshot(path);
    assert_status(dx_close(first), DX_OK);
    assert_untouched(path, &before);
    assert_status(dx_close(second), DX_OK);
    assert_false(exists(path));
}

static void a_blank_file_is_used_and_stays(void **state)
{
    (void)state;
    const char *path = test_path("blank");
    char url[TEST_URL_BYTES];
    make_file(path, 1 << 20, 0);
    test_file_url(path, url);
    struct snapshot before = take_snapshot(path);
    for (int i = 0; i < 3; i++) { /* also when a host has closed it in good order */
        struct dx_channel *host = NULL;
        struct dx_channel *guest = NULL;
        assert_status(dx_create(url, &small, &host), DX_OK);
        assert_status(dx_attach(url, NULL, 0, &guest), DX_OK);
        assert_status(dx_close(guest), DX_OK);
        assert_status(dx_close(host), DX_OK);
        struct snapshot after = take_snapshot(path);
        free(after.bytes);
        assert_int_equal(after.stat.st_ino, before.stat.st_ino);
        assert_int_equal(after.stat.st_size, 1 << 20);
        assert_status(dx_attach(url, NULL, 0, &guest), DX_ERR_STALE);
        assert_detail(path);
    }
    free(before.bytes);
    (void)unlink(path);
}

/* Two hosts that want one name. */
struct alternative {
    const char *url;
    pthread_barrier_t *line;
    pthread_t thread;
    struct dx_channel *channel;
    dx_status status;
};

static void *create_at_once(void *user)
{
    struct alternative *r = user;
    (void)pthread_barrier_wait(r->line);
    r->status = dx_create(r->url, &small, &r->channel);
    return NULL;
}

static void of_two_hosts_at_once_one_gets_the_name(void **state)
{
    (void)state;
    const char *path = test_path("alternatives");
    char url[TEST_URL_BYTES];
    pthread_barrier_t line;
    int wrong = 0;
    test_shm_url(path, url);
    assert_int_equal(pthread_barrier_init(&line, NULL, 2), 0);
    for (int i = 0; i < 200; i++) {
        struct alternative alternatives[2] = {{.url = url, .line = &line},
                                              {.url = url, .line = &line}};
        for (int k = 0; k < 2; k++)
            assert_int_equal(
                pthread_create(&alternatives[k].thread, NULL, create_at_once, &alternatives[k]), 0);
        for (int k = 0; k < 2; k++)
            (void)pthread_join(alternatives[k].thread, NULL);
        int winner = alternatives[0].status == DX_OK ? 0 : 1;
        wrong += alternatives[winner].status != DX_OK;
        wrong += alternatives[1 - winner].status != DX_ERR_HOST_EXISTS;
        wrong += !exists(path);
        (void)dx_close(alternatives[0].channel);
        (void)dx_close(alternatives[1].channel);
        wrong += exists(path);
    }
    (void)pthread_barrier_destroy(&line);
    assert_int_equal(wrong, 0);
}

static void a_host_that_fails_leaves_nothing_in_the_folder(void **state)
{
    (void)state;
    const char *folder = test_path("folder");
    char url[TEST_URL_BYTES + 16];
    struct dx_channel *host = NULL;
    struct dx_channel *second = NULL;
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(url, sizeof url, "file:%s/region", folder);
    assert_status(dx_create(url, &small, &host), DX_OK);
    assert_int_equal(count_entries(folder), 1);
    assert_status(dx_create(url, &small, &second), DX_ERR_HOST_EXISTS);
    assert_int_equal(count_entries(folder), 1);
    assert_status(dx_close(host), DX_OK);
    assert_int_equal(count_entries(folder), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* One of each thing that opens a descriptor, also of those that fail behind the open. */
static void open_and_close_everything(const char *url, const char *foreign)
{
    struct dx_channel *host = NULL;
    struct dx_channel *guest = NULL;
    struct dx_channel *other = NULL;
    char memfd[32];
    assert_status(dx_create(url, &small, &host), DX_OK);
    assert_status(dx_create(url, &small, &other), DX_ERR_HOST_EXISTS);
    assert_status(dx_attach(url, NULL, 0, &guest), DX_OK);
    assert_status(dx_attach(url, NULL, 0, &other), DX_ERR_GUEST_EXISTS);
    assert_status(dx_observe(url, &other), DX_OK);
    assert_status(dx_close(other), DX_OK);
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
    assert_status(dx_attach(url, NULL, 0, &guest), DX_ERR_NO_PEER);
    assert_status(dx_create(foreign, &small, &host), DX_ERR_NOT_DX);
    assert_status(dx_attach(foreign, NULL, 0, &host), DX_ERR_NOT_DX);
    assert_status(dx_observe(foreign, &host), DX_ERR_NOT_DX);
    assert_status(dx_create("memfd:", &small, &host), DX_OK);
    (void)snprintf(memfd, sizeof memfd, "memfd:%d", dx_channel_fd(host));
    assert_status(dx_attach(memfd, NULL, 0, &guest), DX_OK);
    assert_status(dx_attach(memfd, NULL, 0, &other), DX_ERR_GUEST_EXISTS);
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
    assert_status(dx_create("memfd:0", &small, &host), DX_ERR_URL);
}

static int count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    int count = 0;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, "dx-test-") != NULL || strstr(line, "memfd:dx") != NULL;
    (void)fclose(maps);
    return count;
}

static void no_descriptor_and_no_mapping_is_leaked(void **state)
{
    (void)state;
    const char *path = test_path("leak");
    const char *foreign = test_path("leak-foreign");
    char urls[2][TEST_URL_BYTES];
    make_file(foreign, 8192, 'x');
    test_shm_url(path, urls[0]);
    test_file_url(foreign, urls[1]);
    int before = count_entries("/proc/self/fd");
    for (int i = 0; i < 200; i++)
        open_and_close_everything(urls[0], urls[1]);
    assert_int_equal(count_entries("/proc/self/fd"), before);
    assert_int_equal(count_mappings(), 0);
    (void)unlink(foreign);
}

static int write_into(void *user)
{
    /* What the test's runner and sanitizers do with it is of no interest. */
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile unsigned char *)user = 1;
    return 0;
}

static void an_observer_can_read_the_counters_and_write_nothing(void **state)
{
    (void)state;
    const char *path = test_path("observer");
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    struct dx_channel *observer = NULL;
    struct dx_stats stats;
    assert_status(dx_create(test_shm_url(path, url), &small, &host), DX_OK);
    struct snapshot before = take_snapshot(path);
    assert_status(dx_observe(url, &observer), DX_OK);
    host->counters[0].calls = 7;
    assert_status(dx_stats_read(observer, DX_STATS_HOST_CALLERS, &stats), DX_OK);
    assert_int_equal(stats.calls, 7);
    assert_status(dx_stats_read_slot(observer, 0, &stats), DX_OK);
    assert_int_equal(stats.calls, 7);
    assert_status(dx_stats_read_slot(observer, 1, &stats), DX_ERR_INVALID);
    assert_detail("slot 1");
    host->counters[0].calls = 0;

    int status = test_in_child(write_into, observer->region.base);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    /* Nor could it map the file again in another way. */
    assert_int_equal(fcntl(dx_channel_fd(observer), F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, dx_channel_fd(observer), 0),
                     MAP_FAILED);
    assert_status(dx_close(observer), DX_OK);
    assert_untouched(path, &before);
    assert_status(dx_close(host), DX_OK);
}

static void a_region_has_the_size_that_it_says(void **state)
{
    (void)state;
    const char *path = test_path("size");
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    struct dx_config config = {.slots = 5, .guest_slots = 3, .request_capacity = 1000};
    assert_status(dx_create(test_shm_url(path, url), &config, &host), DX_OK);
    struct snapshot s = take_snapshot(path);
    free(s.bytes);
    off_t bytes = (off_t)dx_channel_region_bytes(host);
    off_t there = s.stat.st_blocks * 512;
    assert_true(there >= bytes); /* every page of it is there */
    /* What may hold histograms is there when it is asked for. */
    assert_in_range(s.stat.st_size, bytes + 600 * 1024, bytes + (1 << 20));
    assert_true(there < bytes + 64 * 1024);
    assert_int_equal(dx_channel_slots(host), 5);
    assert_int_equal(dx_channel_request_capacity(host), 1000);
    assert_int_equal(dx_channel_response_capacity(host), 0);
    assert_status(dx_close(host), DX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_region_is_open_to_nobody_else_whatever_the_umask),
        cmocka_unit_test(descriptors_do_not_survive_an_exec),
        cmocka_unit_test(a_memfd_cannot_be_cut_short),
        cmocka_unit_test(a_closing_host_removes_its_name_and_a_closing_guest_does_not),
        cmocka_unit_test(a_name_that_belongs_to_another_file_by_now_is_not_removed),
        cmocka_unit_test(a_blank_file_is_used_and_stays),
        cmocka_unit_test(of_two_hosts_at_once_one_gets_the_name),
        cmocka_unit_test(a_host_that_fails_leaves_nothing_in_the_folder),
        cmocka_unit_test(no_descriptor_and_no_mapping_is_leaked),
        cmocka_unit_test(an_observer_can_read_the_counters_and_write_nothing),
        cmocka_unit_test(a_region_has_the_size_that_it_says),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
