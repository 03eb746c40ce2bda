/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * In a QEMU guest: prepares the ivshmem device for the URL ivshmem:doorbell.
 */
#ifndef DX_DEVICE_H
#define DX_DEVICE_H

#include "dx_status.h"

DX_BEGIN_DECLS

/**
 * Binds the device of an ivshmem URL to the driver vfio-pci, through which a program gets its
 * interrupts.
 *
 * It loads the driver by modprobe if necessary. If the device is bound already, it does nothing.
 * The binding lasts until the guest boots again. It needs root.
 *
 * @param url  an ivshmem URL, with ?addr= if there are several devices
 *
 * @retval DX_ERR_NO_PEER     there is no device
 * @retval DX_ERR_INVALID     there are several devices, or it is no ivshmem device
 * @retval DX_ERR_PERMISSION  the process is not root
 * @retval DX_ERR_SYSTEM      there is no driver, or no IOMMU
 * @retval DX_ERR_URL         the URL is wrong
 *
 * @threads Any thread, in one process at a time. Blocks for as long as the kernel takes.
 */
DX_API dx_status dx_device_bind(const char *url);

DX_END_DECLS

#endif
