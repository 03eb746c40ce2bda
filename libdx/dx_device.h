/* SPDX-License-Identifier: Apache-2.0 */
/* In a QEMU guest: prepares the ivshmem device for the URL ivshmem:doorbell. */
#ifndef DX_DEVICE_H
#define DX_DEVICE_H

#include "dx_status.h"

DX_BEGIN_DECLS

/*
 * Binds the device of an ivshmem URL to the driver vfio-pci, through which its interrupts reach a
 * program; loads that driver by modprobe if need be. Does nothing if it is bound already. Lasts
 * until the guest is booted anew. Needs root. DX_ERR_NO_PEER (no device), _INVALID (several, or not
 * one), _PERMISSION, _SYSTEM (no driver, or no IOMMU), _URL. Blocks for as long as the kernel
 * takes; one process at a time.
 */
DX_API dx_status dx_device_bind(const char *url);

DX_END_DECLS

#endif
