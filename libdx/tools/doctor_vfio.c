/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest needs to be woken by an interrupt of ivshmem-doorbell: vfio-pci and an IOMMU. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../ivshmem_device.h"
#include "doctor.h"

/* The first device that has a doorbell, which is one with an MSI-X table (BAR 1). */
static bool find_doorbell(const struct doctor *d, char *address)
{
    char devices[8][DOCTOR_ADDRESS_BYTES];
    size_t count = doctor_find_devices(d, devices, 8);
    for (size_t i = 0; i < count; i++) {
        if (doctor_bar_bytes(d, devices[i], 1) == 0)
            continue;
        memcpy(address, devices[i], DOCTOR_ADDRESS_BYTES);
        return true;
    }
    return false;
}

static void check_iommu(struct doctor *d, bool needed)
{
    int groups = doctor_count_entries(doctor_path(d, "/sys/kernel/iommu_groups"));
    /* On Arm a device gets its group with its driver. */
    if (groups > 0 || doctor_count_entries(doctor_path(d, "/sys/class/iommu")) > 0) {
        (void)doctor_add(d, "iommu", DOCTOR_OK, "on, %d groups", groups > 0 ? groups : 0);
        return;
    }
    struct finding *f = doctor_add(d, "iommu", needed ? DOCTOR_WARNING : DOCTOR_OK, "none");
    if (needed)
        doctor_advise(f, "without one vfio-pci takes no device, and a parked guest is not woken by "
                         "interrupt but polls (" DX_IVSHMEM_IOMMU ")");
}

static void check_group(struct doctor *d, const char *address)
{
    char group[32];
    doctor_read_link(doctor_path(d, "/sys/bus/pci/devices/%s/iommu_group", address), group,
                     sizeof group);
    struct doctor_path node = doctor_path(d, "/dev/vfio/%s", group);
    int error = group[0] != '\0' ? d->probes->access(node.text, R_OK | W_OK) : ENOENT;
    if (error == 0) {
        (void)doctor_add(d, "vfio", DOCTOR_OK, "%s is at hand as /dev/vfio/%s", address, group);
        return;
    }
    struct finding *f;
    if (group[0] != '\0' && error != ENOENT) {
        f = doctor_add(d, "vfio", DOCTOR_PROBLEM, "this user may not use /dev/vfio/%s: %s", group,
                       strerror(error));
        doctor_advise(f, "chown USER /dev/vfio/%s", group);
        return;
    }
    f = doctor_add(d, "vfio", DOCTOR_WARNING, "%s is not bound to vfio-pci", address);
    doctor_advise(f,
                  "as root: modprobe vfio-pci; echo vfio-pci > "
                  "/sys/bus/pci/devices/%s/driver_override; echo %s > /sys/bus/pci/drivers_probe",
                  address, address);
}

void doctor_check_vfio(struct doctor *d)
{
    char address[DOCTOR_ADDRESS_BYTES];
    bool doorbell = find_doorbell(d, address);
    check_iommu(d, doorbell);
    if (doorbell) {
        check_group(d, address);
        return;
    }
    bool driver = doctor_exists(doctor_path(d, "/sys/bus/pci/drivers/vfio-pci"));
    (void)doctor_add(d, "vfio", DOCTOR_OK, "vfio-pci is %sloaded; nothing here needs it",
                     driver ? "" : "not ");
}
