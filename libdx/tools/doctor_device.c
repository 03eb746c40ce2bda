/* SPDX-License-Identifier: Apache-2.0 */
/* The ivshmem devices of a guest: whether they are there, can be used, and how fast they read. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

#define MIB (1024.0 * 1024.0)
#define DEVICES_MAX 8
#define COMMAND_OFFSET 4
#define COMMAND_MEMORY 2u

static bool is_ivshmem(const struct doctor *d, const char *address)
{
    char vendor[16];
    char device[16];
    return doctor_read(doctor_path(d, "/sys/bus/pci/devices/%s/vendor", address), vendor,
                       sizeof vendor) &&
           doctor_read(doctor_path(d, "/sys/bus/pci/devices/%s/device", address), device,
                       sizeof device) &&
           strcmp(vendor, "0x1af4") == 0 && strcmp(device, "0x1110") == 0;
}

size_t doctor_find_devices(const struct doctor *d, char (*address)[DOCTOR_ADDRESS_BYTES],
                           size_t most)
{
    struct dirent **names;
    size_t count = 0;
    int all = scandir(doctor_path(d, "/sys/bus/pci/devices").text, &names, NULL, alphasort);
    for (int i = 0; i < all; i++) {
        if (names[i]->d_name[0] != '.' && count < most && is_ivshmem(d, names[i]->d_name))
            (void)snprintf(address[count++], DOCTOR_ADDRESS_BYTES, "%.*s", DOCTOR_ADDRESS_BYTES - 1,
                           names[i]->d_name);
        free(names[i]);
    }
    if (all >= 0)
        free(names);
    return count;
}

uint64_t doctor_bar_bytes(const struct doctor *d, const char *address, int bar)
{
    char text[2048];
    if (!doctor_read(doctor_path(d, "/sys/bus/pci/devices/%s/resource", address), text,
                     sizeof text))
        return 0;
    const char *line = text;
    for (int i = 0; i < bar && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    if (line == NULL)
        return 0;
    char *end;
    uint64_t first = strtoull(line, &end, 16);
    uint64_t last = strtoull(end, NULL, 16);
    return last > first ? last - first + 1 : 0;
}

/* Whether the device answers accesses to its BARs, as its command register says. */
static bool answers(const struct doctor *d, const char *address)
{
    unsigned char config[64];
    FILE *file = fopen(doctor_path(d, "/sys/bus/pci/devices/%s/config", address).text, "re");
    if (file == NULL)
        return true; /* not known to be off */
    size_t bytes = fread(config, 1, sizeof config, file);
    (void)fclose(file);
    return bytes <= COMMAND_OFFSET || (config[COMMAND_OFFSET] & COMMAND_MEMORY) != 0;
}

static void add_kind(struct finding *f, const char *file, const struct mapping_times *t)
{
    enum mapping_kind kind = mapping_kind_of(t);
    doctor_append(f, "%s%s is %s (%.1f ns a line)", f->found[0] == '\0' ? "" : "; ", file,
                  mapping_kind_text(kind), t->line_ns);
}

/* Each file is mapped alone: while a mapping lives it decides the kind of all others. */
static void check_mapping(struct doctor *d, const char *address, const char *name)
{
    static const char *const files[] = {"resource2", "resource2_wc"};
    struct finding *f = doctor_add(d, name, DOCTOR_OK, "%s", "");
    int error = ENOENT;
    bool cached = false;
    for (size_t i = 0; i < 2; i++) {
        struct mapping_times times;
        struct doctor_path path = doctor_path(d, "/sys/bus/pci/devices/%s/%s", address, files[i]);
        int here = d->probes->mapping(path.text, MAPPING_KIND_BYTES, &times);
        if (here == 0) {
            add_kind(f, files[i], &times);
            cached = cached || mapping_kind_of(&times) == MAPPING_CACHED;
        } else if (here != ENOENT) {
            error = here;
        }
    }
    if (f->found[0] == '\0') {
        f->level = DOCTOR_PROBLEM;
        doctor_append(f, "BAR 2 cannot be mapped: %s", strerror(error));
        if (error == EACCES || error == EPERM)
            doctor_advise(f, "be root, or chown USER /sys/bus/pci/devices/%s/resource2*", address);
        else
            doctor_advise(f, "unbind the driver that holds the device, and try again");
    } else if (!cached) {
        f->level = DOCTOR_WARNING;
        doctor_advise(f, "every load costs that much, whatever its width: keep frames in chunks "
                         "that are copied by wide loads, or start the VM so that the BAR is "
                         "write-back (Intel with EPT does so by default)");
    }
}

static void check_device(struct doctor *d, const char *address, size_t number)
{
    char name[48] = "ivshmem";
    char driver[64];
    uint64_t bytes = doctor_bar_bytes(d, address, 2);
    bool doorbell = doctor_bar_bytes(d, address, 1) != 0;
    if (number > 0)
        (void)snprintf(name, sizeof name, "ivshmem-%zu", number + 1);
    doctor_read_link(doctor_path(d, "/sys/bus/pci/devices/%s/driver", address), driver,
                     sizeof driver);
    struct finding *f = doctor_add(d, name, DOCTOR_OK,
                                   "%s at %s: BAR 0 %" PRIu64 " bytes, BAR 1 %" PRIu64
                                   " bytes, BAR 2 (the memory) %.6g MiB; driver %s",
                                   doorbell ? "doorbell" : "plain", address,
                                   doctor_bar_bytes(d, address, 0), doctor_bar_bytes(d, address, 1),
                                   (double)bytes / MIB, driver[0] != '\0' ? driver : "none");
    if (bytes == 0) {
        f->level = DOCTOR_PROBLEM;
        doctor_advise(f,
                      "the firmware gave the memory no address: boot q35 with its usual firmware "
                      "(not qboot or microvm), or a smaller region");
        return;
    }
    if (!answers(d, address)) {
        struct doctor_path enable = doctor_path(d, "/sys/bus/pci/devices/%s/enable", address);
        bool may = driver[0] == '\0' && d->probes->access(enable.text, W_OK) == 0;
        f->level = may ? DOCTOR_WARNING : DOCTOR_PROBLEM;
        doctor_append(f, "; it is switched off%s", may ? " until a channel is attached" : "");
        doctor_advise(f, "%s: echo 1 > /sys/bus/pci/devices/%s/enable",
                      may                 ? "to see what kind of memory it is, as root"
                      : driver[0] != '\0' ? "unbind its driver, and as root"
                                          : "as root",
                      address);
        return;
    }
    if (strncmp(driver, "uio", 3) == 0) {
        f->level = DOCTOR_WARNING;
        doctor_advise(f, "uio_pci_generic has no interrupts for it, which has MSI-X only: bind "
                         "vfio-pci, or no driver");
    }
    (void)snprintf(name, sizeof name, number > 0 ? "mapping-%zu" : "mapping", number + 1);
    check_mapping(d, address, name);
}

void doctor_check_devices(struct doctor *d)
{
    char devices[DEVICES_MAX][DOCTOR_ADDRESS_BYTES];
    size_t count = doctor_find_devices(d, devices, DEVICES_MAX);
    if (count == 0)
        (void)doctor_add(d, "ivshmem", DOCTOR_OK,
                         "no such device (1af4:1110): this is not a guest that has one");
    for (size_t i = 0; i < count; i++)
        check_device(d, devices[i], i);
}
