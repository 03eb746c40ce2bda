/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers and the interrupt of an ivshmem device, for ringing other peers and being rung.
 *
 * vfio-pci gives both: its MSI-X vector 0 is an eventfd. Without it, sysfs still gives the
 * registers to root. Then we can ring others, and nobody can ring us. The device's memory is mapped
 * from sysfs either way: vfio's mapping of it is uncached, and the two exclude each other.
 */
#ifndef DX_IVSHMEM_VFIO_H
#define DX_IVSHMEM_VFIO_H

#include <stdint.h>

#include "dx_status.h"
#include "ivshmem_device.h"

struct dx_ivshmem_bells {
    int container; /* vfio's three descriptors; -1 without vfio */
    int group;
    int device;
    int bell;                  /* our own interrupt; -1: nobody can ring us */
    void *mapping;             /* of the registers; NULL: by pwrite at registers_at of `device` */
    volatile uint32_t *mapped; /* the same, as registers */
    uint64_t registers_at;
    uint32_t id; /* ours */
};
#define DX_IVSHMEM_BELLS_INIT                                                                      \
    {                                                                                              \
        -1, -1, -1, -1, NULL, NULL, 0, 0                                                           \
    }

/* Opens the best that can be had. DX_OK with bell < 0: we can only ring, and the thread's last
 * error says why. On an error we cannot even ring. */
dx_status dx_ivshmem_bells_open(const struct dx_ivshmem_device *device,
                                struct dx_ivshmem_bells *out);

/* Rings a peer's vector 0. Any thread. If the peer is not there, nothing happens. */
void dx_ivshmem_bells_ring(const struct dx_ivshmem_bells *bells, uint32_t peer);

void dx_ivshmem_bells_close(struct dx_ivshmem_bells *bells);

#endif
