/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's ivshmem devices, as a guest's kernel shows them in sysfs. They are PCI 1af4:1110, and BAR
 * 2 is the memory. */
#ifndef DX_IVSHMEM_DEVICE_H
#define DX_IVSHMEM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dx_status.h"

#define DX_IVSHMEM_ADDRESS_BYTES sizeof "0000:00:00.0"

/* What gives a guest of this architecture an IOMMU, without which vfio-pci takes no device. */
#ifdef __aarch64__
#define DX_IVSHMEM_IOMMU "QEMU: -machine virt,gic-version=3,iommu=smmuv3"
#else
#define DX_IVSHMEM_IOMMU                                                                           \
    "QEMU: -machine q35 -device intel-iommu,intremap=on before the device; with KVM also "         \
    "kernel-irqchip=split; the guest's kernel: intel_iommu=on"
#endif

struct dx_ivshmem_device {
    char address[DX_IVSHMEM_ADDRESS_BYTES];
    char directory[256]; /* of the device in sysfs */
};

/* Is this a PCI address in full, such as 0000:00:03.0? */
bool dx_ivshmem_is_address(const char *text);

/* Finds the device of that address; "" stands for the only one. DX_ERR_NO_PEER: there is none.
 * DX_ERR_INVALID: there are several, and the text names them, or the address is another device's.
 */
dx_status dx_ivshmem_find(const char *address, struct dx_ivshmem_device *out);

/* Lets the device answer at its memory's address, if nobody has done that yet. DX_ERR_PERMISSION
 * says who may. */
dx_status dx_ivshmem_enable(const struct dx_ivshmem_device *device);

/* Has the kernel an IOMMU? */
bool dx_ivshmem_has_iommu(void);

/* Joins the device's folder and a name. */
void dx_ivshmem_path(const struct dx_ivshmem_device *device, const char *name, char *out,
                     size_t out_bytes);

/* Joins where sysfs is and a path in it. */
void dx_ivshmem_sysfs(const char *path, char *out, size_t out_bytes);

/* For tests: where sysfs is; NULL: at /sys. Not copied. Set it before anything else. */
void dx_ivshmem_pretend_sysfs(const char *folder);

#endif
