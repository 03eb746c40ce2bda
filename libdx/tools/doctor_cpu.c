/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs: how many, whether they are whole cores, how fast they run, how a wait can be spent. */
#include <string.h>

#include "doctor.h"

static int first_of(const cpu_set_t *set)
{
    for (int cpu = 0; cpu < DOCTOR_CPUS; cpu++)
        if (CPU_ISSET(cpu, set))
            return cpu;
    return -1;
}

static void check_count(struct doctor *d, const cpu_set_t *set)
{
    char online[256];
    int usable = CPU_COUNT(set);
    bool known =
        doctor_read(doctor_path(d, "/sys/devices/system/cpu/online"), online, sizeof online);
    struct finding *f = doctor_add(d, "cpus", usable < 2 ? DOCTOR_WARNING : DOCTOR_OK,
                                   "%d usable by this process", usable);
    if (known)
        doctor_append(f, "; online are %s", online);
    if (usable < 2)
        doctor_advise(f, "two sides that spin on one CPU take turns, a thousand times slower: "
                         "allow a second one (taskset, cpuset, QEMU's -smp 2), unless the other "
                         "side runs outside of this machine");
}

/* Whether "0-3,8" has this number. */
static bool list_has(const char *list, int wanted)
{
    int first;
    int last;
    while (*list != '\0') {
        int read = 0;
        /* NOLINTNEXTLINE(cert-err34-c): numbers of CPUs, written by the kernel */
        if (sscanf(list, "%d-%d%n", &first, &last, &read) < 2 || read == 0) {
            /* NOLINTNEXTLINE(cert-err34-c) */
            if (sscanf(list, "%d%n", &first, &read) < 1)
                return false;
            last = first;
        }
        if (wanted >= first && wanted <= last)
            return true;
        list += read;
        list += *list == ',';
    }
    return false;
}

static void check_smt(struct doctor *d, const cpu_set_t *set)
{
    char siblings[256];
    int64_t active;
    if (!doctor_read_number(doctor_path(d, "/sys/devices/system/cpu/smt/active"), &active)) {
        (void)doctor_add(d, "smt", DOCTOR_OK,
                         "the kernel does not say whether threads share cores");
        return;
    }
    if (active == 0) {
        (void)doctor_add(d, "smt", DOCTOR_OK, "off, or not shown: each CPU counts as a core");
        return;
    }
    int first = first_of(set);
    bool known = doctor_read(
        doctor_path(d, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", first),
        siblings, sizeof siblings);
    bool shared = known;
    for (int cpu = first; shared && cpu < DOCTOR_CPUS; cpu++)
        shared = !CPU_ISSET(cpu, set) || list_has(siblings, cpu);
    if (shared && CPU_COUNT(set) > 1) {
        struct finding *f = doctor_add(d, "smt", DOCTOR_WARNING,
                                       "all usable CPUs are threads of one core: %s", siblings);
        doctor_advise(f, "a side that spins takes half the core from the other: allow CPUs of two "
                         "cores (taskset)");
        return;
    }
    struct finding *f = doctor_add(d, "smt", DOCTOR_OK, "on");
    if (known) {
        doctor_append(f, ": CPU %d shares its core with %s", first, siblings);
        doctor_advise(f, "pin two sides that spin to different cores");
    }
}

/* The "powersave" of these drivers goes up with the load; that of others stays at the bottom. */
static bool goes_up(const char *driver)
{
    return strcmp(driver, "intel_pstate") == 0 || strncmp(driver, "amd-pstate", 10) == 0;
}

static void check_governor(struct doctor *d, const cpu_set_t *set)
{
    char governor[64] = "";
    char driver[64];
    int slow = -1;
    int seen = -1;
    for (int cpu = 0; cpu < DOCTOR_CPUS; cpu++) {
        char here[64];
        if (!CPU_ISSET(cpu, set) ||
            !doctor_read(
                doctor_path(d, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu), here,
                sizeof here))
            continue;
        (void)doctor_read(
            doctor_path(d, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_driver", cpu), driver,
            sizeof driver);
        if (seen < 0)
            memcpy(governor, here, sizeof governor);
        seen = cpu;
        if (strcmp(here, "powersave") == 0 && !goes_up(driver))
            slow = cpu;
    }
    if (seen < 0) {
        (void)doctor_add(d, "governor", DOCTOR_OK,
                         "none: the machine under this one, or the firmware, sets the frequency");
    } else if (slow >= 0) {
        struct finding *f =
            doctor_add(d, "governor", DOCTOR_WARNING,
                       "powersave on CPU %d: it stays at its lowest frequency", slow);
        doctor_advise(f, "cpupower frequency-set -g performance, or schedutil");
    } else {
        (void)doctor_add(d, "governor", DOCTOR_OK, "%s", governor);
    }
}

static void check_instructions(struct doctor *d)
{
    static char flags[8192];
    const char *found = NULL;
    doctor_read_field(doctor_path(d, "/proc/cpuinfo"), "flags", flags, sizeof flags);
#if defined(__aarch64__)
    found = "WFE, which every arm64 CPU has";
#endif
    if (doctor_has_word(flags, "waitpkg"))
        found = "UMWAIT (WAITPKG)";
    else if (doctor_has_word(flags, "mwaitx"))
        found = "MWAITX";
    if (found == NULL) {
        (void)doctor_add(d, "wait", DOCTOR_OK,
                         "no instruction that waits for a cache line: waits spin, yield and park");
        return;
    }
    struct finding *f = doctor_add(d, "wait", DOCTOR_OK,
                                   "waits for a cache line can sleep in the CPU by %s", found);
    doctor_advise(f, "relax = \"hardware\" in a wait strategy takes it instead of pauses");
}

void doctor_check_cpus(struct doctor *d)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (d->probes->affinity(&set)) {
        check_count(d, &set);
        check_smt(d, &set);
        check_governor(d, &set);
    } else {
        (void)doctor_add(d, "cpus", DOCTOR_WARNING,
                         "the kernel does not say which CPUs this process may use");
    }
}

static void check_sleep(struct doctor *d)
{
    int64_t slack_ns;
    int64_t took_ns;
    d->probes->sleep(&slack_ns, &took_ns);
    bool slow = took_ns > 1000000;
    struct finding *f = doctor_add(d, "timer", slow ? DOCTOR_WARNING : DOCTOR_OK,
                                   "a sleep of 10 us takes %.1f us; the slack is %.1f us",
                                   (double)took_ns / 1e3, (double)slack_ns / 1e3);
    if (slow)
        doctor_advise(f, "the kernel has no high-resolution timers, or all CPUs are busy: a parked "
                         "side that is not rung wakes late (timed polls of ivshmem:plain)");
    else if (slack_ns > 20000)
        doctor_advise(f, "where parking is a timed poll (ivshmem:plain), "
                         "prctl(PR_SET_TIMERSLACK, 1) in the thread makes its steps exact");
}

void doctor_check_waiting(struct doctor *d)
{
    check_instructions(d);
    check_sleep(d);
}

void doctor_check_hypervisor(struct doctor *d)
{
    static const struct {
        const char *signature;
        const char *name;
    } known[] = {{"KVMKVMKVM", "KVM"},        {"TCGTCGTCGTCG", "QEMU's TCG"},
                 {"Microsoft Hv", "Hyper-V"}, {"VMwareVMware", "VMware"},
                 {"XenVMMXenVMM", "Xen"},     {"bhyve bhyve ", "bhyve"}};
    char signature[13];
    if (!d->probes->hypervisor(signature)) {
        (void)doctor_add(d, "hypervisor", DOCTOR_OK, "none that shows itself");
        return;
    }
    const char *name = signature;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(signature, known[i].signature, 12) == 0)
            name = known[i].name;
    bool emulated = strncmp(signature, "TCG", 3) == 0;
    struct finding *f = doctor_add(d, "hypervisor", emulated ? DOCTOR_WARNING : DOCTOR_OK,
                                   "this is a guest of %s", *name != '\0' ? name : "one unnamed");
    if (emulated)
        doctor_advise(f, "every instruction is translated, and the memory types of mappings are "
                         "ignored: figures of this guest say nothing of hardware; start it with "
                         "KVM where that works (dx doctor on the host)");
}
