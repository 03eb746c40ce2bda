/* SPDX-License-Identifier: Apache-2.0 */
/* dx doctor in made-up guests: ivshmem devices, what kind of memory they are, vfio. */
#include "doctor_scene.h"
#include "ivshmem_device.h"

#define DEVICE "/sys/bus/pci/devices/0000:00:03.0"

/* BARs 0, 1 and 2 as sysfs shows them: start, end, flags. */
#define PLAIN_BARS                                                                                 \
    "0x00000000fea40000 0x00000000fea400ff 0x0000000000040200\n"                                   \
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"                                   \
    "0x00000000f8000000 0x00000000fbffffff 0x000000000014220c\n"
#define DOORBELL_BARS                                                                              \
    "0x00000000fea40000 0x00000000fea400ff 0x0000000000040200\n"                                   \
    "0x00000000fea41000 0x00000000fea41fff 0x0000000000040200\n"                                   \
    "0x00000000f8000000 0x00000000fbffffff 0x000000000014220c\n"

static const struct mapping_times cached = {2, 1, 4, 3};
static const struct mapping_times combining = {160, 155, 1240, 170};
static const struct mapping_times uncached = {160, 155, 1240, 620};

static void put_command(unsigned char command)
{
    unsigned char config[64] = {0xf4, 0x1a, 0x10, 0x11, command};
    put_bytes(DEVICE "/config", config, sizeof config);
}

static void put_device(const char *bars)
{
    put_file("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x1af4\n");
    put_file("/sys/bus/pci/devices/0000:00:01.0/device", "0x1000\n");
    put_file(DEVICE "/vendor", "0x1af4\n");
    put_file(DEVICE "/device", "0x1110\n");
    put_file(DEVICE "/resource", bars);
    put_file(DEVICE "/resource2", "");
    put_file(DEVICE "/resource2_wc", "");
    put_command(2);
    the_scene()->times[0] = the_scene()->times[1] = cached;
}

static void a_machine_without_device_is_well(void **state)
{
    (void)state;
    assert_ok("ivshmem", "no such device", NULL);
    assert_null(find("mapping"));
    put_file("/sys/bus/pci/devices/0000:00:01.0/vendor", "0x1af4\n");
    assert_ok("ivshmem", "no such device", NULL);
    assert_ok("iommu", "none", NULL);
    assert_ok("vfio", "not loaded", NULL);
    put_folder("/sys/bus/pci/drivers/vfio-pci");
    assert_ok("vfio", "vfio-pci is loaded", NULL);
}

static void a_plain_device_is_described(void **state)
{
    (void)state;
    put_device(PLAIN_BARS);
    assert_ok("ivshmem",
              "plain at 0000:00:03.0: BAR 0 256 bytes, BAR 1 0 bytes, BAR 2 (the memory) 64 MiB; "
              "driver none",
              NULL);
    assert_ok("mapping", "resource2 is cached (write-back) (1.0 ns a line); resource2_wc is cached",
              NULL);
    assert_ok("shm", "there is no /dev/shm; ivshmem", NULL);
    assert_ok("vfio", "nothing here needs it", NULL);
}

static void a_device_that_cannot_be_used_is_a_problem(void **state)
{
    struct doctor_scene *s = *state;
    put_device(PLAIN_BARS);
    s->mapping = EACCES;
    assert_problem("mapping", "Permission denied", "chown");
    s->mapping = EINVAL;
    assert_problem("mapping", "Invalid argument", "unbind");
    put_command(0);
    assert_warned("ivshmem", "switched off until a channel",
                  "echo 1 > /sys/bus/pci/devices/0000:00:03.0/enable");
    assert_null(find("mapping"));
    s->access = EACCES;
    assert_problem("ivshmem", "switched off",
                   "as root: echo 1 > /sys/bus/pci/devices/0000:00:03.0/enable");
    assert_null(find("mapping"));
    put_file(DEVICE "/resource", "0x0 0x0 0x0\n");
    assert_problem("ivshmem", "0 MiB", "firmware");
}

static void one_mapping_is_enough(void **state)
{
    (void)state;
    put_device(PLAIN_BARS);
    assert_int_equal(unlink(scene_path(DEVICE "/resource2_wc")), 0);
    assert_ok("mapping", "resource2 is cached (write-back) (1.0 ns a line)", NULL);
    assert_int_equal(unlink(scene_path(DEVICE "/resource2")), 0);
    assert_problem("mapping", "No such file", "unbind");
}

static void slow_mappings_are_warned_of(void **state)
{
    struct doctor_scene *s = *state;
    put_device(PLAIN_BARS);
    s->times[0] = uncached;
    s->times[1] = combining;
    assert_warned("mapping",
                  "resource2 is not cached (uncached) (155.0 ns a line); resource2_wc is not "
                  "cached (write-combining)",
                  "every load costs");
    s->times[1] = cached;
    assert_ok("mapping", "resource2_wc is cached", NULL);
    s->times[0].line_ns = s->times[1].line_ns = 50;
    assert_warned("mapping", "unclear", "every load");
}

static void drivers_are_told(void **state)
{
    (void)state;
    put_device(PLAIN_BARS);
    put_link(DEVICE "/driver", "../../../bus/pci/drivers/uio_pci_generic");
    assert_warned("ivshmem", "driver uio_pci_generic", "MSI-X");
    assert_int_equal(unlink(scene_path(DEVICE "/driver")), 0);
    put_link(DEVICE "/driver", "../../../bus/pci/drivers/vfio-pci");
    assert_ok("ivshmem", "driver vfio-pci", NULL);
}

static void a_doorbell_needs_vfio(void **state)
{
    struct doctor_scene *s = *state;
    put_device(DOORBELL_BARS);
    assert_ok("ivshmem", "doorbell at 0000:00:03.0", NULL);
    assert_warned("iommu", "none", DX_IVSHMEM_IOMMU);
    assert_warned("vfio", "not bound to vfio-pci", "driver_override");
    put_folder("/sys/class/iommu/smmu3.0x0000000009050000");
    assert_ok("iommu", "on, 0 groups", NULL);
    put_folder("/sys/kernel/iommu_groups/0");
    put_folder("/sys/kernel/iommu_groups/3");
    assert_ok("iommu", "on, 2 groups", NULL);
    put_link(DEVICE "/iommu_group", "../../../../kernel/iommu_groups/3");
    assert_ok("vfio", "0000:00:03.0 is at hand as /dev/vfio/3", NULL);
    s->access = EACCES;
    assert_problem("vfio", "may not use /dev/vfio/3", "chown USER /dev/vfio/3");
    s->access = ENOENT;
    assert_warned("vfio", "not bound", "modprobe vfio-pci");
}

static void every_device_is_described(void **state)
{
    (void)state;
    put_device(PLAIN_BARS);
    put_file("/sys/bus/pci/devices/0000:00:05.0/vendor", "0x1af4\n");
    put_file("/sys/bus/pci/devices/0000:00:05.0/device", "0x1110\n");
    put_file("/sys/bus/pci/devices/0000:00:05.0/resource", DOORBELL_BARS);
    assert_ok("ivshmem", "plain at 0000:00:03.0", NULL);
    assert_ok("ivshmem-2", "doorbell at 0000:00:05.0", NULL);
    assert_ok("mapping", "cached", NULL);
    assert_problem("mapping-2", "No such file", "unbind");
    assert_warned("vfio", "0000:00:05.0", "0000:00:05.0");
}

static void kinds_are_told_apart_by_time(void **state)
{
    (void)state;
    static const struct {
        struct mapping_times times;
        enum mapping_kind kind;
    } cases[] = {
        {{1.2, 0.7, 2.5, 1.3}, MAPPING_CACHED},
        {{90, 1, 3, 2}, MAPPING_CACHED},    /* the first pass filled the cache */
        {{12, 10, 60, 40}, MAPPING_CACHED}, /* an emulator */
        {{155, 155, 1240, 160}, MAPPING_WRITE_COMBINING},
        {{155, 155, 1240, 620}, MAPPING_UNCACHED},
        {{155, 155, 1240, 390}, MAPPING_NOT_CACHED},
        {{155, 155, 1240, 0}, MAPPING_NOT_CACHED}, /* no such loads */
        {{50, 50, 60, 60}, MAPPING_UNCLEAR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (mapping_kind_of(&cases[i].times) != cases[i].kind)
            fail_msg("case %zu is taken for %s", i,
                     mapping_kind_name(mapping_kind_of(&cases[i].times)));
}

/* Memory of this process is cached, whatever the machine, also under a sanitizer. */
static void private_memory_is_cached(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char memory[MAPPING_KIND_BYTES] = {1};
    struct mapping_times times;
    mapping_kind_time(memory, sizeof memory, &times);
    assert_int_equal(mapping_kind_of(&times), MAPPING_CACHED);
    assert_true(times.line_ns > 0);
    assert_true(times.loads8_ns > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_doctor_scene, clear_doctor_scene)

static void lockdown_is_told(void **state)
{
    (void)state;
    assert_ok("lockdown", "does not say", NULL);
    put_file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    assert_ok("lockdown", "integrity", NULL); /* there is no device to be mapped */
    put_device(PLAIN_BARS);
    assert_problem("lockdown", "integrity", "Secure Boot");
    put_file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
    assert_ok("lockdown", "none", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_without_device_is_well),
        TEST(lockdown_is_told),
        TEST(a_plain_device_is_described),
        TEST(a_device_that_cannot_be_used_is_a_problem),
        TEST(one_mapping_is_enough),
        TEST(slow_mappings_are_warned_of),
        TEST(drivers_are_told),
        TEST(a_doorbell_needs_vfio),
        TEST(every_device_is_described),
        TEST(kinds_are_told_apart_by_time),
        TEST(private_memory_is_cached),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
