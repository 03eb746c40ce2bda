/* SPDX-License-Identifier: Apache-2.0 */
/* The probes of dx doctor: facts that only trying tells. */
#include "doctor_probes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "../clock.h"
#include "../liveness_kernel.h"

static bool affinity(cpu_set_t *set)
{
    return sched_getaffinity(0, sizeof *set, set) == 0;
}

static bool hypervisor(char signature[13])
{
    memset(signature, 0, 13);
#if defined(__x86_64__)
    unsigned eax;
    unsigned words[3];
    unsigned flags;
    const unsigned present = 1u << 31;
    if (__get_cpuid(1, &eax, &words[0], &flags, &words[1]) == 0 || (flags & present) == 0)
        return false;
    __cpuid(0x40000000, eax, words[0], words[1], words[2]);
    memcpy(signature, words, sizeof words);
    return true;
#else
    return false;
#endif
}

static bool space(const char *path, uint64_t *total_bytes, uint64_t *free_bytes)
{
    struct statvfs s;
    if (statvfs(path, &s) != 0)
        return false;
    *total_bytes = (uint64_t)s.f_blocks * s.f_frsize;
    *free_bytes = (uint64_t)s.f_bavail * s.f_frsize;
    return true;
}

static int access_error(const char *path, int mode)
{
    return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
}

/* The median of a few: one may be interrupted. */
static void sleep_a_little(int64_t *slack_ns, int64_t *took_ns)
{
    enum { SLEEPS = 9 };
    int64_t took[SLEEPS] = {0};
    const struct timespec length = dx_clock_timespec(10000);
    for (int i = 0; i < SLEEPS; i++) {
        int64_t start_ns = dx_clock_ns();
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
        int64_t now = dx_clock_ns() - start_ns;
        int at = i;
        for (; at > 0 && took[at - 1] > now; at--)
            took[at] = took[at - 1];
        took[at] = now;
    }
    *took_ns = took[SLEEPS / 2];
    *slack_ns = prctl(PR_GET_TIMERSLACK);
}

static int time_mapping(const char *path, size_t bytes, struct mapping_times *times)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_SYNC);
    if (fd < 0)
        return errno;
    int error = 0;
    void *memory = MAP_FAILED;
    if (fstat(fd, &s) != 0 || s.st_size < (off_t)bytes)
        error = ENODATA; /* beyond the end of a file is no memory */
    else
        memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (error == 0 && memory == MAP_FAILED)
        error = errno;
    (void)close(fd);
    if (error != 0)
        return error;
    mapping_kind_time(memory, bytes, times);
    (void)munmap(memory, bytes);
    return 0;
}

static int kvm_version(const char *path, int *version)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno;
    *version = ioctl(fd, KVM_GET_API_VERSION, 0);
    (void)close(fd);
    return 0;
}

static int count_cycles(void)
{
    struct perf_event_attr attribute = {.type = PERF_TYPE_HARDWARE,
                                        .size = sizeof attribute,
                                        .config = PERF_COUNT_HW_CPU_CYCLES,
                                        .exclude_kernel = 1,
                                        .exclude_hv = 1};
    long fd = syscall(SYS_perf_event_open, &attribute, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return errno;
    (void)close((int)fd);
    return 0;
}

struct doctor_probes doctor_probes(void)
{
    return (struct doctor_probes){.affinity = affinity,
                                  .hypervisor = hypervisor,
                                  .kvm = kvm_version,
                                  .space = space,
                                  .access = access_error,
                                  .sleep = sleep_a_little,
                                  .mapping = time_mapping,
                                  .cycles = count_cycles,
                                  .kernel = dx_kernel_find,
                                  .user = (uint32_t)geteuid()};
}
