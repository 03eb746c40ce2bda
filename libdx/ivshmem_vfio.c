/* SPDX-License-Identifier: Apache-2.0 */
#include "ivshmem_vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"

/* Registers of BAR 0, by QEMU's ivshmem-spec. */
#define REGISTERS_BYTES 4096u
#define POSITION 8u
#define DOORBELL 12u
#define IDS 65536u

/* The PCI command register: memory of the BARs, and interrupts, which are writes of the device. */
#define COMMAND 4
#define COMMAND_MEMORY 2u
#define COMMAND_MASTER 4u

static dx_status open_group(const struct dx_ivshmem_device *device, struct dx_ivshmem_bells *b)
{
    char path[300];
    char link[300];
    dx_ivshmem_path(device, "iommu_group", path, sizeof path);
    ssize_t length = readlink(path, link, sizeof link - 1);
    /* On Arm a device gets its group with its driver. */
    if (length <= 0 && dx_ivshmem_has_iommu())
        return dx_fail(DX_ERR_SYSTEM,
                       "%s: in no IOMMU group yet: bind the device to vfio-pci (dx bind)",
                       device->directory);
    if (length <= 0)
        return dx_fail(DX_ERR_SYSTEM, "%s: the device is in no IOMMU group (" DX_IVSHMEM_IOMMU ")",
                       device->directory);
    link[length] = '\0';
    const char *number = strrchr(link, '/');
    (void)snprintf(path, sizeof path, "/dev/vfio/%.20s", number != NULL ? number + 1 : link);
    b->group = dx_fd_open(path, O_RDWR);
    if (b->group >= 0)
        return DX_OK;
    if (errno == ENOENT)
        return dx_fail(DX_ERR_SYSTEM, "%s: not there: bind the device to vfio-pci (dx bind)", path);
    if (errno == EBUSY)
        return dx_fail(DX_ERR_GUEST_EXISTS, "%s: another process has the device", path);
    return dx_fail_errno("%s: cannot be opened", path);
}

static dx_status open_device(const struct dx_ivshmem_device *device, struct dx_ivshmem_bells *b)
{
    dx_status status = open_group(device, b);
    if (status != DX_OK)
        return status;
    struct vfio_group_status viable = {.argsz = sizeof viable};
    if (ioctl(b->group, VFIO_GROUP_GET_STATUS, &viable) != 0 ||
        (viable.flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
        return dx_fail(DX_ERR_SYSTEM,
                       "%s: not all devices of its IOMMU group are bound to vfio-pci (dx bind)",
                       device->directory);
    b->container = dx_fd_open("/dev/vfio/vfio", O_RDWR);
    if (b->container < 0)
        return dx_fail_errno("/dev/vfio/vfio: cannot be opened");
    if (ioctl(b->group, VFIO_GROUP_SET_CONTAINER, &b->container) != 0 ||
        ioctl(b->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0)
        return dx_fail_errno("%s: vfio gives it no IOMMU (is vfio_iommu_type1 loaded?)",
                             device->directory);
    b->device = dx_fd_ioctl(b->group, VFIO_GROUP_GET_DEVICE_FD, device->address);
    return b->device >= 0 ? DX_OK : dx_fail_errno("%s: vfio does not give it", device->directory);
}

static dx_status find_registers(const struct dx_ivshmem_device *device, struct dx_ivshmem_bells *b)
{
    struct vfio_region_info info = {.argsz = sizeof info, .index = VFIO_PCI_BAR0_REGION_INDEX};
    if (ioctl(b->device, VFIO_DEVICE_GET_REGION_INFO, &info) != 0 || info.size < DOORBELL + 4)
        return dx_fail_errno("%s: no registers", device->directory);
    b->registers_at = info.offset;
    if ((info.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0)
        return DX_OK;
    void *at = mmap(NULL, (size_t)info.size, PROT_READ | PROT_WRITE, MAP_SHARED, b->device,
                    (off_t)info.offset);
    b->mapping = at != MAP_FAILED ? at : NULL;
    b->mapped = b->mapping;
    return DX_OK;
}

/* vfio leaves it off, and without it interrupts are lost without a word. */
static dx_status let_it_interrupt(const struct dx_ivshmem_device *device,
                                  const struct dx_ivshmem_bells *b)
{
    struct vfio_region_info info = {.argsz = sizeof info, .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint16_t command = 0;
    if (ioctl(b->device, VFIO_DEVICE_GET_REGION_INFO, &info) != 0 ||
        pread(b->device, &command, sizeof command, (off_t)info.offset + COMMAND) !=
            (ssize_t)sizeof command)
        return dx_fail_errno("%s: its command register cannot be read", device->directory);
    command |= COMMAND_MEMORY | COMMAND_MASTER;
    if (pwrite(b->device, &command, sizeof command, (off_t)info.offset + COMMAND) !=
        (ssize_t)sizeof command)
        return dx_fail_errno("%s: bus mastering cannot be set", device->directory);
    return DX_OK;
}

static dx_status set_bell(const struct dx_ivshmem_device *device, struct dx_ivshmem_bells *b)
{
    struct vfio_irq_info info = {.argsz = sizeof info, .index = VFIO_PCI_MSIX_IRQ_INDEX};
    if (ioctl(b->device, VFIO_DEVICE_GET_IRQ_INFO, &info) != 0 || info.count == 0)
        return dx_fail(DX_ERR_SYSTEM,
                       "%s: the device has no interrupts: it is QEMU's ivshmem-plain, and not "
                       "ivshmem-doorbell",
                       device->directory);
    b->bell = dx_fd_eventfd();
    if (b->bell < 0)
        return dx_fail_errno("no eventfd");
    char room[sizeof(struct vfio_irq_set) + sizeof b->bell];
    struct vfio_irq_set set = {.argsz = sizeof room,
                               .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                               .index = VFIO_PCI_MSIX_IRQ_INDEX,
                               .count = 1};
    memcpy(room, &set, sizeof set);
    memcpy(room + sizeof set, &b->bell, sizeof b->bell);
    if (ioctl(b->device, VFIO_DEVICE_SET_IRQS, room) != 0)
        return dx_fail_errno("%s: its interrupt cannot be had", device->directory);
    return let_it_interrupt(device, b);
}

static uint32_t read_id(const struct dx_ivshmem_bells *b)
{
    uint32_t id = IDS;
    if (b->mapped != NULL)
        id = b->mapped[POSITION / 4];
    else if (pread(b->device, &id, sizeof id, (off_t)(b->registers_at + POSITION)) !=
             (ssize_t)sizeof id)
        id = IDS;
    return id;
}

static dx_status open_vfio(const struct dx_ivshmem_device *device, struct dx_ivshmem_bells *b)
{
    dx_status status = open_device(device, b);
    if (status == DX_OK)
        status = find_registers(device, b);
    if (status == DX_OK)
        status = set_bell(device, b);
    if (status != DX_OK)
        return status;
    b->id = read_id(b);
    return b->id < IDS ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM, "%s: it has no id yet: is its server running?",
                                 device->directory);
}

static dx_status open_sysfs(const struct dx_ivshmem_device *device, struct dx_ivshmem_bells *b)
{
    char path[300];
    /* No firmware has, where QEMU starts the kernel itself on Arm. */
    dx_status status = dx_ivshmem_enable(device);
    if (status != DX_OK)
        return status;
    dx_ivshmem_path(device, "resource0", path, sizeof path);
    int fd = dx_fd_open(path, O_RDWR);
    if (fd < 0)
        return dx_fail_errno("%s: cannot be opened (it is root's)", path);
    void *at = mmap(NULL, REGISTERS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED)
        return dx_fail_errno("%s: cannot be mapped", path);
    b->mapping = at;
    b->mapped = at;
    b->id = read_id(b);
    return b->id < IDS ? DX_OK
                       : dx_fail(DX_ERR_SYSTEM, "%s: it has no id: QEMU's ivshmem-plain?", path);
}

dx_status dx_ivshmem_bells_open(const struct dx_ivshmem_device *device,
                                struct dx_ivshmem_bells *out)
{
    *out = (struct dx_ivshmem_bells)DX_IVSHMEM_BELLS_INIT;
    if (open_vfio(device, out) == DX_OK)
        return DX_OK;
    /* What is wrong with vfio is of more interest than what is wrong with the rest. */
    char why[512];
    (void)snprintf(why, sizeof why, "%s", dx_last_error());
    dx_ivshmem_bells_close(out);
    dx_status status = open_sysfs(device, out);
    if (status != DX_OK)
        dx_ivshmem_bells_close(out);
    (void)dx_fail(DX_ERR_SYSTEM, "%s", why);
    return status;
}

void dx_ivshmem_bells_ring(const struct dx_ivshmem_bells *b, uint32_t peer)
{
    uint32_t value = peer << 16; /* vector 0 */
    if (b->mapped != NULL)
        b->mapped[DOORBELL / 4] = value;
    else if (b->device >= 0 && pwrite(b->device, &value, sizeof value,
                                      (off_t)(b->registers_at + DOORBELL)) != (ssize_t)sizeof value)
        return; /* the device is gone */
}

void dx_ivshmem_bells_close(struct dx_ivshmem_bells *b)
{
    if (b->mapping != NULL)
        (void)munmap(b->mapping, REGISTERS_BYTES);
    const int fds[] = {b->device, b->group, b->container, b->bell};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    *b = (struct dx_ivshmem_bells)DX_IVSHMEM_BELLS_INIT;
}
