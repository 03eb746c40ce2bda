/* SPDX-License-Identifier: Apache-2.0 */
/* dx doctor on made-up machines: CPUs, time, KVM, memory, counters, and how findings are shown. */
#include "doctor_scene.h"

static void cpus_are_counted(void **state)
{
    struct doctor_scene *s = *state;
    put_file("/sys/devices/system/cpu/online", "0-7\n");
    assert_ok("cpus", "2 usable by this process; online are 0-7", NULL);
    s->cpus = 1;
    assert_warned("cpus", "1 usable", "second one");
    s->cpus = 0;
    assert_warned("cpus", "does not say", NULL);
}

static void threads_of_one_core_are_told(void **state)
{
    struct doctor_scene *s = *state;
    assert_ok("smt", "does not say", NULL);
    put_file("/sys/devices/system/cpu/smt/active", "0\n");
    assert_ok("smt", "off", NULL);
    put_file("/sys/devices/system/cpu/smt/active", "1\n");
    put_file("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,4\n");
    assert_ok("smt", "CPU 0 shares its core with 0,4", "different cores");
    put_file("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n");
    assert_warned("smt", "threads of one core: 0-1", "half the core");
    s->cpus = 3;
    assert_ok("smt", "0-1", "different cores");
}

static void governors_are_told(void **state)
{
    (void)state;
    assert_ok("governor", "none", NULL);
    put_file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n");
    assert_ok("governor", "schedutil", NULL);
    put_file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
    put_file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_driver", "acpi-cpufreq\n");
    assert_warned("governor", "powersave on CPU 1", "performance");
    put_file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_driver", "intel_pstate\n");
    assert_ok("governor", "schedutil", NULL);
}

static void the_tightest_quota_counts(void **state)
{
    (void)state;
    assert_ok("quota", "no control groups", NULL);
    put_file("/proc/self/cgroup", "0::/a/b\n");
    assert_ok("quota", "no limit", NULL);
    put_file("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_ok("quota", "no limit", NULL);
    put_file("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    assert_ok("quota", "4.00 CPUs", NULL);
    put_file("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    assert_warned("quota", "1.50 CPUs", "cpu.max");
    put_file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    assert_problem("quota", "0.50 CPUs", "cpu.max");
}

static void quotas_of_version_1_count_too(void **state)
{
    (void)state;
    put_file("/proc/self/cgroup", "3:cpuset:/\n1:cpu,cpuacct:/job\n0::/\n");
    put_file("/sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n");
    put_file("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    put_file("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    assert_ok("quota", "no limit", NULL);
    put_file("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "300000\n");
    assert_ok("quota", "3.00 CPUs", NULL);
    put_file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "90000\n");
    put_file("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    assert_problem("quota", "0.90 CPUs", "park");
}

static void hypervisors_are_named(void **state)
{
    struct doctor_scene *s = *state;
    assert_ok("hypervisor", "none", NULL);
    s->hypervisor = "KVMKVMKVM";
    assert_ok("hypervisor", "guest of KVM", NULL);
    s->hypervisor = "Microsoft Hv";
    assert_ok("hypervisor", "guest of Hyper-V", NULL);
    s->hypervisor = "Something";
    assert_ok("hypervisor", "guest of Something", NULL);
    s->hypervisor = "TCGTCGTCGTCG";
    assert_warned("hypervisor", "QEMU's TCG", "translated");
}

static void ways_to_wait_are_told(void **state)
{
    struct doctor_scene *s = *state;
    put_file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu waitpkg sse\n");
    assert_ok("wait", "WAITPKG", "relax = \"hardware\"");
    put_file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu mwaitx sse\n");
    assert_ok("wait", "MWAITX", "hardware");
#if defined(__x86_64__)
    put_file("/proc/cpuinfo", "flags\t\t: fpu waitpkgs xmwaitx\n");
    assert_ok("wait", "no instruction", NULL);
#endif
    assert_ok("timer", "takes 65.0 us; the slack is 50.0 us", "TIMERSLACK");
    s->slack_ns = 1;
    assert_ok("timer", "the slack is 0.0 us", NULL);
    s->took_ns = 4000000;
    assert_warned("timer", "takes 4000.0 us", "high-resolution");
}

static void what_kvm_has_is_told_and_what_shows_more(void **state)
{
    struct doctor_scene *s = *state;
#if defined(__x86_64__)
    assert_warned("kvm", "opens; memory by unknown", "vm/vm accel");
    put_folder("/sys/module/kvm_pvm");
    assert_warned("kvm", "kvm_pvm", "vm/vm accel");
    put_file("/sys/module/kvm_intel/parameters/ept", "N\n");
    assert_warned("kvm", "without EPT", "vm/vm accel");
    put_file("/sys/module/kvm_intel/parameters/ept", "Y\n");
#endif
    assert_ok("kvm", "opens; memory by", "vm/vm accel");
    s->kvm_version = 11;
    assert_problem("kvm", "version is 11 instead of 12", "TCG");
}

static void kvm_that_does_not_open_is_explained(void **state)
{
    struct doctor_scene *s = *state;
    s->kvm = EACCES;
    assert_warned("kvm", "may not open", "usermod -aG kvm");
    s->kvm = ENODEV;
    assert_warned("kvm", "No such device", "modprobe");
    s->kvm = ENOENT;
    assert_warned("kvm", "no /dev/kvm", "firmware");
    s->hypervisor = "KVMKVMKVM";
    assert_ok("kvm", "in this guest", NULL);
}

static void shared_memory_is_judged_by_what_is_free(void **state)
{
    struct doctor_scene *s = *state;
    assert_problem("shm", "there is no /dev/shm", "mount -t tmpfs");
    put_folder("/dev/shm");
    assert_ok("shm", "1024 MiB, 1024 MiB of them free", NULL);
    s->shm_free_bytes = 60u << 20;
    assert_warned("shm", "60 MiB of them free", "remount");
    s->shm_free_bytes = 0;
    assert_problem("shm", " 0 MiB of them free", "remount");
    s->shm_free_bytes = s->shm_total_bytes;
    s->access = EACCES;
    assert_problem("shm", "may not write", "chmod 1777");
}

static void who_removes_names_is_told(void **state)
{
    struct doctor_scene *s = *state;
    assert_ok("names", "no systemd-logind", NULL);
    put_folder("/run/systemd/seats");
    put_file("/etc/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n");
    assert_warned("names", "RemoveIPC=yes", "enable-linger");
    put_file("/etc/systemd/logind.conf", "[Login]\nRemoveIPC= no\n");
    assert_ok("names", "RemoveIPC=no", NULL);
    put_file("/etc/systemd/logind.conf.d/10-ipc.conf", "[Login]\nRemoveIPC=yes\n");
    assert_warned("names", "user 1000", "RemoveIPC=no");
    s->probes.user = 999;
    assert_ok("names", "exempt", NULL);
}

static void who_lingers_keeps_names(void **state)
{
    (void)state;
    put_folder("/run/systemd/seats");
    put_file("/etc/passwd", "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/:/bin/sh\n");
    assert_warned("names", "user 1000", "enable-linger");
    put_file("/var/lib/systemd/linger/bob", "");
    assert_warned("names", "user 1000", "enable-linger");
    put_file("/var/lib/systemd/linger/ann", "");
    assert_ok("names", "exempt by lingering", NULL);
}

static void limits_of_a_process_are_told(void **state)
{
    (void)state;
    assert_ok("limits", "does not say", NULL);
    put_file("/proc/self/limits", "Limit         Soft Limit  Hard Limit  Units\n"
                                  "Max file size         unlimited   unlimited   bytes\n"
                                  "Max open files        1024        1048576     files\n"
                                  "Max locked memory     8388608     8388608     bytes\n");
    assert_ok("limits",
              "(RLIMIT_NOFILE) 1024, files (RLIMIT_FSIZE) unlimited, locked memory "
              "(RLIMIT_MEMLOCK) 8 MiB",
              NULL);
    put_file("/proc/self/limits", "Max file size     1048576   unlimited   bytes\n"
                                  "Max open files    1024      1048576     files\n");
    assert_warned("limits", "(RLIMIT_FSIZE) 1 MiB", "ulimit -f");
    put_file("/proc/self/limits", "Max open files    64        64     files\n");
    assert_warned("limits", "(RLIMIT_NOFILE) 64", "ulimit -n");
    put_file("/proc/self/limits", "Max locked memory   0   0     bytes\n");
    assert_warned("limits", "(RLIMIT_MEMLOCK) 0 MiB", "ulimit -l");
}

static void regions_in_shared_memory_are_counted(void **state)
{
    struct doctor_scene *s = *state;
    const uint64_t magic = DX_MAGIC;
    put_file("/dev/shm/other", "no region");
    assert_ok("shm", "1024 MiB of them free", NULL);
    put_bytes("/dev/shm/a", &magic, sizeof magic);
    assert_int_equal(truncate(scene_path("/dev/shm/a"), 3 << 20), 0);
    assert_ok("shm", "1 region of dx there takes 3 MiB", NULL);
    s->shm_free_bytes = 2 << 20;
    assert_problem("shm", "not reserved", "prealloc=on");
}

static void a_private_boot_id_is_told(void **state)
{
    (void)state;
    put_file("/proc/self/mountinfo",
             "35 30 0:5 / /proc rw - proc proc rw\n"
             "36 35 0:33 /id /proc/sys/kernel/random/boot_id ro - tmpfs tmpfs rw\n");
    assert_ok("kernel", "boot_id of its own", NULL);
    put_file("/proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
    assert_ok("kernel", "boot_id of its own", NULL);
    put_file("/proc/sys/kernel/osrelease", "5.10.0-9-amd64\n");
    assert_warned("kernel", "boot_id of its own", "5.13");
}

static void a_kernel_that_is_not_known_is_told(void **state)
{
    struct doctor_scene *s = *state;
    assert_ok("kernel", "can tell", NULL);
    s->unknown_kernel = true;
    assert_warned("kernel", "cannot be found out", "boot_id");
}

static void hugepages_are_told(void **state)
{
    (void)state;
    assert_ok("hugepages", "has none", NULL);
    put_file("/proc/meminfo", "MemTotal: 1 kB\nHugePages_Total:       8\nHugePages_Free:        "
                              "3\nHugepagesize:       2048 kB\n");
    assert_ok("hugepages", "8 of 2048 kB, 3 free", NULL);
    put_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always [advise] never\n");
    assert_ok("hugepages", "in shared memory: advise", NULL);
}

static void counters_are_tried(void **state)
{
    struct doctor_scene *s = *state;
    put_file("/proc/sys/kernel/perf_event_paranoid", "3\n");
    assert_ok("counters", "can be counted; perf_event_paranoid is 3", NULL);
    s->cycles = EACCES;
    assert_warned("counters", "may not count", "perf_event_paranoid=1");
    s->cycles = ENOENT;
    assert_warned("counters", "no hardware", "NA");
    s->cycles = ENOSYS;
    assert_warned("counters", "not implemented", "NA");
}

static void users_are_told(void **state)
{
    struct doctor_scene *s = *state;
    assert_ok("user", "user 1000: ", NULL);
    s->probes.user = 0;
    assert_ok("user", "(root)", NULL);
}

/* One of each level, shown for people and for programs; text of others is quoted. */
static void findings_are_shown_in_both_forms(void **state)
{
    struct doctor_scene *s = *state;
    struct doctor *d = &s->doctor;
    char text[4096] = "";
    char value[128];
    (void)doctor_add(d, "one", DOCTOR_OK, "all \"%s\"", "well");
    doctor_advise(doctor_add(d, "two", DOCTOR_WARNING, "slow\x01\xff"), "run %d", 3);
    (void)doctor_add(d, "three", DOCTOR_PROBLEM, "broken");
    FILE *out = fmemopen(text, sizeof text, "w");
    doctor_print_json(d, out);
    (void)fclose(out);
    assert_true(json_is_valid(text));
    assert_true(json_get(text, "warnings", value, sizeof value));
    assert_string_equal(value, "1");
    assert_true(json_get(text, "findings.one.found", value, sizeof value));
    assert_string_equal(value, "\"all \\\"well\\\"\"");
    assert_true(json_get(text, "findings.one.advice", value, sizeof value));
    assert_string_equal(value, "null");
    assert_true(json_get(text, "findings.two.found", value, sizeof value));
    assert_string_equal(value, "\"slow\\u0001\\ufffd\"");
    assert_true(json_get(text, "findings.two.advice", value, sizeof value));
    assert_string_equal(value, "\"run 3\"");
    assert_true(json_get(text, "findings.three.level", value, sizeof value));
    assert_string_equal(value, "\"problem\"");
    out = fmemopen(text, sizeof text, "w");
    doctor_print(d, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "ok       one           all \"well\"\n"));
    assert_non_null(strstr(text, "\n                     > run 3\n"));
    assert_non_null(strstr(text, "problem  three         broken\n\n1 ok, 1 warning, 1 problem\n"));
}

/* More findings and longer texts than there is room for are cut, not written beyond. */
static void too_much_is_cut(void **state)
{
    struct doctor_scene *s = *state;
    struct finding *f = NULL;
    for (int i = 0; i < 2 * DOCTOR_FINDINGS; i++)
        f = doctor_add(&s->doctor, "a name of more than twenty-four letters", DOCTOR_OK, "%d", i);
    assert_int_equal(s->doctor.count, DOCTOR_FINDINGS);
    for (int i = 0; i < DOCTOR_TEXT_BYTES; i++)
        doctor_append(f, "xyz");
    assert_int_equal(strlen(f->found), DOCTOR_TEXT_BYTES - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_doctor_scene, clear_doctor_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpus_are_counted),
        TEST(threads_of_one_core_are_told),
        TEST(governors_are_told),
        TEST(the_tightest_quota_counts),
        TEST(quotas_of_version_1_count_too),
        TEST(hypervisors_are_named),
        TEST(ways_to_wait_are_told),
        TEST(what_kvm_has_is_told_and_what_shows_more),
        TEST(kvm_that_does_not_open_is_explained),
        TEST(shared_memory_is_judged_by_what_is_free),
        TEST(who_removes_names_is_told),
        TEST(who_lingers_keeps_names),
        TEST(limits_of_a_process_are_told),
        TEST(regions_in_shared_memory_are_counted),
        TEST(a_private_boot_id_is_told),
        TEST(a_kernel_that_is_not_known_is_told),
        TEST(hugepages_are_told),
        TEST(counters_are_tried),
        TEST(users_are_told),
        TEST(findings_are_shown_in_both_forms),
        TEST(too_much_is_cut),
    };
    test_begin();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
