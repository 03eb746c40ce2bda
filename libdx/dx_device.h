/* SPDX-License-Identifier: Apache-2.0 */
/* In a QEMU guest: prepares the ivshmem device for the URL ivshmem:doorbell. */
#ifndef DX_DEVICE_H
#define DX_DEVICE_H

#include "dx_status.h"

DX_BEGIN_DECLS

/*
 * Binds the device of an ivshmem URL to the driver vfio-pci, through which a program gets its
 * interrupts. It loads the driver by modprobe if necessary. If the device is bound already, it does
 * nothing. The binding lasts until the guest boots again. Needs root. Blocks for as long as the
 * kernel takes. One process at a time.
 *
 * DX_ERR_NO_PEER (no device), _INVALID (several devices, or not an ivshmem device), _PERMISSION,
 * _SYSTEM (no driver, or no IOMMU), _URL.
 */
DX_API dx_status dx_device_bind(const char *url);

DX_END_DECLS

#endif
