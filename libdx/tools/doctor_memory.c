/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that regions can be made of. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

#define MIB (1024.0 * 1024.0)

static void check_shared_memory(struct doctor *d)
{
    uint64_t total;
    uint64_t free_bytes;
    struct doctor_path path = doctor_path(d, "/dev/shm");
    if (!doctor_exists(path) || !d->probes->space(path.text, &total, &free_bytes)) {
        char device[1][DOCTOR_ADDRESS_BYTES];
        if (doctor_find_devices(d, device, 1) > 0) {
            (void)doctor_add(d, "shm", DOCTOR_OK,
                             "there is no /dev/shm; ivshmem: URLs work without, shm: URLs do not");
            return;
        }
        struct finding *f = doctor_add(d, "shm", DOCTOR_PROBLEM, "there is no /dev/shm");
        doctor_advise(f, "mount -t tmpfs -o mode=1777 tmpfs /dev/shm (after mkdir); file: URLs on "
                         "another tmpfs, and memfd:, work without");
        return;
    }
    bool writable = d->probes->access(path.text, W_OK) == 0;
    enum doctor_level level = !writable || free_bytes < (uint64_t)MIB ? DOCTOR_PROBLEM
                              : free_bytes < (uint64_t)(64 * MIB)     ? DOCTOR_WARNING
                                                                      : DOCTOR_OK;
    struct finding *f = doctor_add(
        d, "shm", level, "/dev/shm has %.0f MiB, %.0f MiB of them free%s", (double)total / MIB,
        (double)free_bytes / MIB, writable ? "" : "; this user may not write there");
    if (!writable)
        doctor_advise(f, "chmod 1777 /dev/shm");
    else if (level != DOCTOR_OK)
        doctor_advise(f, "a region is taken from it, and a VM whose memory does not fit dies by "
                         "SIGBUS: mount -o remount,size=1G /dev/shm, or docker run --shm-size 1g");
}

static void check_hugepages(struct doctor *d)
{
    char total[32];
    char unused[32];
    char size[32];
    char shmem[64];
    doctor_read_field(doctor_path(d, "/proc/meminfo"), "HugePages_Total", total, sizeof total);
    doctor_read_field(doctor_path(d, "/proc/meminfo"), "HugePages_Free", unused, sizeof unused);
    doctor_read_field(doctor_path(d, "/proc/meminfo"), "Hugepagesize", size, sizeof size);
    if (total[0] == '\0') {
        (void)doctor_add(d, "hugepages", DOCTOR_OK, "this kernel has none");
        return;
    }
    struct finding *f =
        doctor_add(d, "hugepages", DOCTOR_OK, "%s of %s, %s free", total, size, unused);
    if (doctor_read(doctor_path(d, "/sys/kernel/mm/transparent_hugepage/shmem_enabled"), shmem,
                    sizeof shmem)) {
        char *open = strchr(shmem, '[');
        char *close = open != NULL ? strchr(open, ']') : NULL;
        if (close != NULL) {
            *close = '\0';
            doctor_append(f, "; transparent ones in shared memory: %s", open + 1);
        }
    }
}

void doctor_check_memory(struct doctor *d)
{
    check_shared_memory(d);
    check_hugepages(d);
}
