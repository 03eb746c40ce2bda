/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that regions can be made of. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../region.h"
#include "doctor.h"

#define MIB (1024.0 * 1024.0)

/* Regions of dx in /dev/shm: their number, bytes, and those of them that are not there yet. */
struct regions {
    unsigned count;
    uint64_t bytes;
    uint64_t missing_bytes;
};

/* Bytes of a region's file that its sides may touch. What may hold histograms, behind them, is
 * reserved before it is touched. */
static uint64_t bytes_of(int fd, uint64_t size)
{
    struct dx_header header;
    struct dx_geometry g;
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        dx_header_check(&header, size, &g) != DX_OK)
        return size;
    uint64_t bytes = (g.places - 1) * g.place_bytes + g.region_bytes;
    return bytes < size ? bytes : size;
}

static void add_region(struct regions *r, const char *path)
{
    struct stat s;
    bool is_dx = false;
    if (lstat(path, &s) != 0 || !S_ISREG(s.st_mode))
        return;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return; /* another user's */
    if (dx_region_check_dx(fd, path, &is_dx) == DX_OK && is_dx) {
        uint64_t bytes = bytes_of(fd, (uint64_t)s.st_size);
        uint64_t there_bytes = (uint64_t)s.st_blocks * 512;
        r->count++;
        r->bytes += bytes;
        r->missing_bytes += there_bytes < bytes ? bytes - there_bytes : 0;
    }
    (void)close(fd);
}

static struct regions count_regions(const struct doctor *d)
{
    struct regions r = {0};
    DIR *folder = opendir(doctor_path(d, "/dev/shm").text);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        add_region(&r, doctor_path(d, "/dev/shm/%s", entry->d_name).text);
    if (folder != NULL)
        (void)closedir(folder);
    return r;
}

/* Memory of a file that nobody has reserved is looked for when it is touched: SIGBUS if there is
 * none. */
static void tell_regions(struct finding *f, const struct regions *r, uint64_t free_bytes)
{
    if (r->count == 0)
        return;
    doctor_append(f, "; %u region%s of dx there take%s %.6g MiB", r->count,
                  r->count == 1 ? "" : "s", r->count == 1 ? "s" : "", (double)r->bytes / MIB);
    if (r->missing_bytes <= free_bytes || f->level == DOCTOR_PROBLEM)
        return;
    f->level = DOCTOR_PROBLEM;
    doctor_append(f, ", of which %.6g MiB are not reserved, more than is free",
                  (double)r->missing_bytes / MIB);
    doctor_advise(f, "whoever touches them dies by SIGBUS: make /dev/shm larger (mount -o "
                     "remount,size=...), or start VMs with prealloc=on");
}

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
    const struct regions regions = count_regions(d);
    tell_regions(f, &regions, free_bytes);
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
