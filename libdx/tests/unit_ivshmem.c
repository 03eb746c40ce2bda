/* SPDX-License-Identifier: Apache-2.0 */
/* How a guest finds its device, in a folder that looks like sysfs. */
#include <fcntl.h>
#include <sys/stat.h>

#include "channel.h"
#include "ivshmem_device.h"
#include "ivshmem_vfio.h"
#include "test.h"

#define ADDRESS "0000:00:03.0"
#define OTHER "0000:00:04.0"

static char root[TEST_PATH_BYTES];

/* Remembers what it makes, to be removed in the opposite order. */
static const char *made(const char *format, const char *a, const char *b)
{
    struct test_paths *p = test_paths();
    assert_in_range(p->count, 0, TEST_PATHS - 1);
    char *path = p->path[p->count++];
    int length = snprintf(path, TEST_PATH_BYTES, format, root, a, b);
    assert_in_range(length, 1, TEST_PATH_BYTES - 1);
    return path;
}

static void make_folder(const char *format, const char *a)
{
    assert_int_equal(mkdir(made(format, a, ""), 0700), 0);
}

static void make_file(const char *address, const char *name, const void *bytes, size_t count)
{
    int fd =
        open(made("%s/bus/pci/devices/%s/%s", address, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    (void)close(fd);
}

static void make_device(const char *address, const char *vendor, const char *device)
{
    make_folder("%s/bus/pci/devices/%s", address);
    make_file(address, "vendor", vendor, strlen(vendor));
    make_file(address, "device", device, strlen(device));
}

static void make_resource(const char *address, const char *name, const char *target)
{
    assert_int_equal(symlink(target, made("%s/bus/pci/devices/%s/%s", address, name)), 0);
}

static int make_sysfs(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "%s", test_path("sys"));
    if (mkdir(root, 0700) != 0)
        return -1;
    make_folder("%s/bus", "");
    make_folder("%s/bus/pci", "");
    make_folder("%s/bus/pci/devices", "");
    dx_ivshmem_pretend_sysfs(root);
    return 0;
}

static int remove_sysfs(void **state)
{
    (void)state;
    dx_ivshmem_pretend_sysfs(NULL);
    test_remove_paths();
    test_paths()->count = 0;
    return 0;
}

static dx_status attach(const char *url, struct dx_channel **channel)
{
    return dx_attach(url, NULL, 0, channel);
}

static void no_device_is_said(void **state)
{
    struct dx_channel *guest;
    (void)state;
    assert_status(attach("ivshmem:plain", &guest), DX_ERR_NO_PEER);
    assert_detail("1af4:1110");
    make_device(ADDRESS, "0x8086\n", "0x1110\n");
    assert_status(attach("ivshmem:plain", &guest), DX_ERR_NO_PEER);
    assert_status(attach("ivshmem:plain?addr=" ADDRESS, &guest), DX_ERR_INVALID);
    assert_detail("is no ivshmem device");
    assert_status(attach("ivshmem:plain?addr=" OTHER, &guest), DX_ERR_NO_PEER);
    dx_ivshmem_pretend_sysfs("/dev/null");
    assert_status(attach("ivshmem:plain", &guest), DX_ERR_NO_PEER);
    assert_detail("is sysfs mounted");
}

static void urls_are_checked(void **state)
{
    static const char *const wrong[] = {"ivshmem:",
                                        "ivshmem:plan",
                                        "ivshmem:plain?",
                                        "ivshmem:plain?addr=",
                                        "ivshmem:plain?addr=00:03.0",
                                        "ivshmem:plain?addr=../../../etc",
                                        "ivshmem:plain?addr=0000:00:03.00",
                                        "ivshmem:plain?address=0000:00:03.0"};
    struct dx_channel *guest;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_status(attach(wrong[i], &guest), DX_ERR_URL);
    assert_status(dx_create("ivshmem:plain", NULL, &guest), DX_ERR_URL);
    assert_detail("file:PATH");
}

static void of_several_devices_one_must_be_named(void **state)
{
    struct dx_channel *guest;
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    make_device(OTHER, "0x1af4\n", "0x1110\n");
    assert_status(attach("ivshmem:plain", &guest), DX_ERR_INVALID);
    assert_detail(ADDRESS);
    assert_detail(OTHER);
    make_file(OTHER, "enable", "1\n", 2);
    assert_status(attach("ivshmem:plain?addr=" OTHER, &guest), DX_ERR_NO_PEER);
    assert_detail("no memory");
}

static void assert_enabled(const char *path)
{
    char text[2] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, 1), 1);
    (void)close(fd);
    assert_string_equal(text, "1");
}

/* One byte of the command register says whether the device answers; `enable` makes it. */
static void a_disabled_device_is_enabled(void **state)
{
    struct dx_ivshmem_device device;
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    assert_status(dx_ivshmem_find("", &device), DX_OK);
    assert_string_equal(device.address, ADDRESS);
    assert_status(dx_ivshmem_enable(&device), DX_ERR_SYSTEM);
    assert_detail("echo 1 >");
    make_file(ADDRESS, "enable", "0\n", 2);
    assert_status(dx_ivshmem_enable(&device), DX_OK);
    assert_enabled(test_paths()->path[test_paths()->count - 1]);
}

static void a_device_that_answers_is_left_alone(void **state)
{
    static const unsigned char config[] = {0xf4, 0x1a, 0x10, 0x11, 2};
    struct dx_ivshmem_device device;
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    make_file(ADDRESS, "config", config, sizeof config);
    assert_status(dx_ivshmem_find("", &device), DX_OK);
    assert_status(dx_ivshmem_enable(&device), DX_OK);
}

/* What vfio needs is said, and the registers are those of a device that answers. */
static void without_vfio_the_others_can_be_rung_through_sysfs(void **state)
{
    const uint32_t registers[1024] = {[2] = 5};
    struct dx_ivshmem_device device;
    struct dx_ivshmem_bells bells;
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    make_file(ADDRESS, "enable", "0\n", 2);
    const char *enable = test_paths()->path[test_paths()->count - 1];
    assert_status(dx_ivshmem_find("", &device), DX_OK);
    assert_status(dx_ivshmem_bells_open(&device, &bells), DX_ERR_SYSTEM);
    assert_detail("in no IOMMU group (" DX_IVSHMEM_IOMMU ")");
    assert_enabled(enable);
    make_file(ADDRESS, "resource0", registers, sizeof registers);
    make_folder("%s/class", "");
    make_folder("%s/class/iommu", "");
    assert_false(dx_ivshmem_has_iommu());
    make_folder("%s/class/iommu/smmu3", "");
    assert_status(dx_ivshmem_bells_open(&device, &bells), DX_OK);
    assert_detail("bind the device to vfio-pci (dx bind)");
    assert_int_equal(bells.bell, -1);
    assert_int_equal(bells.id, 5);
    dx_ivshmem_bells_ring(&bells, 7);
    assert_int_equal(bells.mapped[3], 7u << 16);
    dx_ivshmem_bells_close(&bells);
}

static int32_t echo(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    response->bytes = request->bytes;
    memcpy(response->data, request->data, request->bytes);
    return 0;
}

static void *serve(void *channel)
{
    (void)dx_serve(channel, echo, NULL, NULL);
    return NULL;
}

/* The file is larger than the region, as a device's must be. */
static void a_guest_answers_through_its_device(void **state)
{
    char url[TEST_URL_BYTES];
    struct dx_channel *host;
    struct dx_channel *guest;
    struct dx_caller *caller;
    pthread_t thread;
    char answer[8];
    size_t bytes = sizeof answer;
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    make_file(ADDRESS, "enable", "1\n", 2);
    const char *memory = test_path("memory");
    int fd = open(memory, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    (void)close(fd);
    make_resource(ADDRESS, "resource2", memory);
    assert_status(attach("ivshmem:plain", &guest), DX_ERR_NO_PEER);
    assert_detail("no host has begun");
    struct dx_config config = {.slots = 1, .request_capacity = 8, .response_capacity = 8};
    assert_status(dx_create(test_file_url(memory, url), &config, &host), DX_OK);
    assert_status(attach("ivshmem:plain?addr=" ADDRESS, &guest), DX_OK);
    assert_int_equal(dx_channel_park_kind(guest), DX_PARK_POLL);
    assert_int_equal(pthread_create(&thread, NULL, serve, guest), 0);
    assert_status(dx_caller_open(host, 0, &caller), DX_OK);
    assert_status(dx_call(caller, DX_TYPE_USER, "question", 8, answer, &bytes, NULL, PATIENCE),
                  DX_OK);
    assert_memory_equal(answer, "question", 8);
    dx_caller_close(caller);
    dx_stop(guest);
    (void)pthread_join(thread, NULL);
    assert_status(dx_close(guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
}

/* dx_attach with patience, on a thread. */
struct patient {
    pthread_t thread;
    pid_t _Atomic id;
    dx_status status;
    struct dx_channel *guest;
};

static void *attach_patiently(void *user)
{
    struct patient *p = user;
    atomic_store(&p->id, (pid_t)gettid());
    p->status = dx_attach("ivshmem:plain", NULL, DX_FOREVER, &p->guest);
    return NULL;
}

static void a_guest_waits_at_a_fresh_device_for_its_host(void **state)
{
    char url[TEST_URL_BYTES];
    struct dx_channel *host = NULL;
    struct patient p = {.status = DX_OK};
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    make_file(ADDRESS, "enable", "1\n", 2);
    const char *memory = test_path("fresh");
    int fd = open(memory, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    (void)close(fd);
    make_resource(ADDRESS, "resource2", memory);
    assert_int_equal(pthread_create(&p.thread, NULL, attach_patiently, &p), 0);
    while (atomic_load(&p.id) == 0)
        (void)sched_yield();
    test_await_state(atomic_load(&p.id), 'S'); /* it has looked, and looks again later */
    struct dx_config config = {.slots = 1, .request_capacity = 8, .response_capacity = 8};
    dx_status created = dx_create(test_file_url(memory, url), &config, &host);
    (void)pthread_join(p.thread, NULL);
    assert_status(created, DX_OK);
    assert_status(p.status, DX_OK);
    assert_status(dx_close(p.guest), DX_OK);
    assert_status(dx_close(host), DX_OK);
}

static void a_device_that_is_too_small_is_said_with_both_sizes(void **state)
{
    char url[TEST_URL_BYTES];
    struct dx_channel *host;
    struct dx_channel *guest;
    (void)state;
    make_device(ADDRESS, "0x1af4\n", "0x1110\n");
    make_file(ADDRESS, "enable", "1\n", 2);
    const char *memory = test_path("memory");
    struct dx_config config = {.slots = 8, .request_capacity = 4096, .response_capacity = 64};
    assert_status(dx_create(test_file_url(memory, url), &config, &host), DX_OK);
    static char head[8192];
    int fd = open(memory, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, head, sizeof head), sizeof head);
    (void)close(fd);
    make_file(ADDRESS, "resource2_wc", head, sizeof head);
    char both[64];
    assert_status(attach("ivshmem:plain", &guest), DX_ERR_SHORT);
    (void)snprintf(both, sizeof both, "8192 bytes are there, the header says %llu",
                   (unsigned long long)dx_channel_region_bytes(host));
    assert_detail(both);
    assert_status(dx_close(host), DX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_sysfs, remove_sysfs)
        TEST(no_device_is_said),
        TEST(urls_are_checked),
        TEST(of_several_devices_one_must_be_named),
        TEST(a_disabled_device_is_enabled),
        TEST(a_device_that_answers_is_left_alone),
        TEST(without_vfio_the_others_can_be_rung_through_sysfs),
        TEST(a_guest_answers_through_its_device),
        TEST(a_guest_waits_at_a_fresh_device_for_its_host),
        TEST(a_device_that_is_too_small_is_said_with_both_sizes),
#undef TEST
    };
    test_begin();
    return cmocka_run_group_tests_name("unit_ivshmem", tests, NULL, NULL);
}
