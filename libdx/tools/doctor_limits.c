/* SPDX-License-Identifier: Apache-2.0 */
/* What a process may have: locked memory, sizes of files, descriptors. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

#define MIB (1024.0 * 1024.0)
/* Each peer of a rendezvous costs its server a socket and an eventfd, and there may be 60. */
#define DESCRIPTORS_FEW 256u
#define FILE_BYTES_FEW (64ull << 20)
#define LOCKED_BYTES_FEW (64ull << 10)

/* The soft limit in a line of /proc/self/limits; UINT64_MAX: unlimited, or the line is missing. */
static uint64_t read_limit(const char *limits, const char *name)
{
    const char *line = strstr(limits, name);
    if (line == NULL)
        return UINT64_MAX;
    line += strlen(name);
    line += strspn(line, " \t");
    return strncmp(line, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(line, NULL, 10);
}

static void append_bytes(struct finding *f, const char *name, uint64_t bytes)
{
    if (bytes == UINT64_MAX)
        doctor_append(f, ", %s unlimited", name);
    else
        doctor_append(f, ", %s %.6g MiB", name, (double)bytes / MIB);
}

static void warn(struct finding *f, const char *advice)
{
    f->level = DOCTOR_WARNING;
    doctor_advise(f, "%s%s", f->advice[0] != '\0' ? "; " : "", advice);
}

void doctor_check_limits(struct doctor *d)
{
    char limits[4096];
    if (!doctor_read(doctor_path(d, "/proc/self/limits"), limits, sizeof limits)) {
        (void)doctor_add(d, "limits", DOCTOR_OK, "this kernel does not say");
        return;
    }
    uint64_t descriptors = read_limit(limits, "Max open files");
    uint64_t file_bytes = read_limit(limits, "Max file size");
    uint64_t locked_bytes = read_limit(limits, "Max locked memory");
    struct finding *f = doctor_add(d, "limits", DOCTOR_OK, "descriptors (RLIMIT_NOFILE) ");
    if (descriptors == UINT64_MAX)
        doctor_append(f, "unlimited");
    else
        doctor_append(f, "%" PRIu64, descriptors);
    append_bytes(f, "files (RLIMIT_FSIZE)", file_bytes);
    append_bytes(f, "locked memory (RLIMIT_MEMLOCK)", locked_bytes);
    if (descriptors < DESCRIPTORS_FEW)
        warn(f,
             "a rendezvous needs two descriptors for each of up to 60 peers, and a channel up to "
             "five: ulimit -n 1024");
    if (file_bytes < FILE_BYTES_FEW)
        warn(f, "a larger region cannot be made, by any transport: ulimit -f unlimited");
    if (locked_bytes < LOCKED_BYTES_FEW)
        warn(f, "the rings of hardware counters and a VM whose memory is locked need more: ulimit "
                "-l 8192");
}

/* Lockdown forbids to map the memory of a PCI device, which a guest's ivshmem: URLs do. */
void doctor_check_lockdown(struct doctor *d)
{
    char text[128];
    char device[1][DOCTOR_ADDRESS_BYTES];
    struct doctor_path path = doctor_path(d, "/sys/kernel/security/lockdown");
    if (!doctor_read(path, text, sizeof text)) {
        (void)doctor_add(d, "lockdown", DOCTOR_OK, "this kernel has none, or does not say");
        return;
    }
    char *begin = strchr(text, '[');
    char *end = begin != NULL ? strchr(begin, ']') : NULL;
    if (end != NULL)
        *end = '\0';
    const char *mode = end != NULL ? begin + 1 : "none";
    if (strcmp(mode, "none") == 0 || doctor_find_devices(d, device, 1) == 0) {
        (void)doctor_add(d, "lockdown", DOCTOR_OK, "%s", mode);
        return;
    }
    struct finding *f = doctor_add(d, "lockdown", DOCTOR_PROBLEM,
                                   "%s: this kernel lets nobody map the memory of a PCI device "
                                   "through sysfs, which ivshmem: URLs need",
                                   mode);
    doctor_advise(f,
                  "boot the guest without Secure Boot, or without lockdown= on its command line");
}
