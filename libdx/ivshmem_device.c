/* SPDX-License-Identifier: Apache-2.0 */
#include "ivshmem_device.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "fd.h"

#define VENDOR 0x1af4
#define DEVICE 0x1110
#define LIST_BYTES 200
/* The PCI command register and its bit for the memory of the BARs. */
#define COMMAND 4
#define COMMAND_MEMORY 2

static const char *sysfs = "/sys";

void dx_ivshmem_pretend_sysfs(const char *folder)
{
    sysfs = folder != NULL ? folder : "/sys";
}

bool dx_ivshmem_is_address(const char *text)
{
    static const char shape[] = "xxxx:xx:xx.x";
    if (strlen(text) != sizeof shape - 1)
        return false;
    for (size_t i = 0; shape[i] != '\0'; i++)
        if (shape[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != shape[i])
            return false;
    return true;
}

void dx_ivshmem_path(const struct dx_ivshmem_device *device, const char *name, char *out,
                     size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%s/%s", device->directory, name);
}

void dx_ivshmem_sysfs(const char *path, char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%.200s/%s", sysfs, path);
}

/* The number in one of the device's files; -1 if there is none. */
static long read_number(const struct dx_ivshmem_device *device, const char *name)
{
    char path[300];
    char text[32];
    dx_ivshmem_path(device, name, path, sizeof path);
    int fd = dx_fd_open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (got <= 0)
        return -1;
    text[got] = '\0';
    return strtol(text, NULL, 0);
}

static bool is_ivshmem(const struct dx_ivshmem_device *device)
{
    return read_number(device, "vendor") == VENDOR && read_number(device, "device") == DEVICE;
}

static void make(const char *address, struct dx_ivshmem_device *out)
{
    (void)snprintf(out->address, sizeof out->address, "%.12s", address);
    (void)snprintf(out->directory, sizeof out->directory, "%.200s/bus/pci/devices/%s", sysfs,
                   out->address);
}

static int has_address(const struct dirent *entry)
{
    return dx_ivshmem_is_address(entry->d_name);
}

/* Those of all these devices that are ours: how many, the last one, and their addresses for people.
 * Frees the entries. */
static unsigned pick(struct dirent **entries, int count, struct dx_ivshmem_device *last,
                     char *addresses)
{
    unsigned ours = 0;
    addresses[0] = '\0';
    for (int i = 0; i < count; i++) {
        struct dx_ivshmem_device device = {.address = ""};
        make(entries[i]->d_name, &device);
        free(entries[i]);
        if (!is_ivshmem(&device))
            continue;
        size_t used = strlen(addresses);
        (void)snprintf(addresses + used, LIST_BYTES - used, "%s%s", ours == 0 ? "" : ", ",
                       device.address);
        *last = device;
        ours++;
    }
    free(entries);
    return ours;
}

static dx_status find_only(struct dx_ivshmem_device *out)
{
    char path[300];
    char addresses[LIST_BYTES];
    struct dirent **entries;
    dx_ivshmem_sysfs("bus/pci/devices", path, sizeof path);
    int count = scandir(path, &entries, has_address, alphasort);
    if (count < 0)
        return dx_fail(DX_ERR_NO_PEER, "%s: cannot be read: is sysfs mounted, and is there PCI?",
                       path);
    unsigned ours = pick(entries, count, out, addresses);
    if (ours == 0)
        return dx_fail(DX_ERR_NO_PEER,
                       "no PCI device 1af4:1110 in %s: start QEMU with -device ivshmem-plain and "
                       "the host's memory behind it",
                       path);
    if (ours > 1)
        return dx_fail(DX_ERR_INVALID,
                       "%u ivshmem devices, %s: choose one, ivshmem:plain?addr=%s for example",
                       ours, addresses, out->address);
    return DX_OK;
}

dx_status dx_ivshmem_find(const char *address, struct dx_ivshmem_device *out)
{
    memset(out, 0, sizeof *out);
    if (*address == '\0')
        return find_only(out);
    make(address, out);
    if (access(out->directory, F_OK) != 0)
        return dx_fail(DX_ERR_NO_PEER, "%s: no such PCI device", out->directory);
    if (!is_ivshmem(out))
        return dx_fail(DX_ERR_INVALID, "%s: is no ivshmem device (1af4:1110)", out->directory);
    return DX_OK;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

bool dx_ivshmem_has_iommu(void)
{
    char path[300];
    struct dirent **entries;
    dx_ivshmem_sysfs("class/iommu", path, sizeof path);
    int count = scandir(path, &entries, is_visible, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    return count > 0;
}

/* As the device itself says, whoever enabled it. */
static bool answers(const struct dx_ivshmem_device *device)
{
    char path[300];
    unsigned char command = 0;
    dx_ivshmem_path(device, "config", path, sizeof path);
    int fd = dx_fd_open(path, O_RDONLY);
    if (fd < 0)
        return false;
    bool read_it = pread(fd, &command, 1, COMMAND) == 1;
    (void)close(fd);
    return read_it && (command & COMMAND_MEMORY) != 0;
}

dx_status dx_ivshmem_enable(const struct dx_ivshmem_device *device)
{
    char path[300];
    if (read_number(device, "enable") > 0 || answers(device))
        return DX_OK;
    dx_ivshmem_path(device, "enable", path, sizeof path);
    int fd = dx_fd_open(path, O_WRONLY);
    ssize_t wrote = fd >= 0 ? write(fd, "1", 1) : -1;
    dx_status status = DX_OK;
    if (wrote != 1 && errno == EBUSY)
        status = dx_fail_errno("%s: the device is disabled, and its driver keeps it so (unbind it, "
                               "then: dx bind)",
                               path);
    else if (wrote != 1)
        status = dx_fail_errno("%s: the device is disabled and cannot be enabled (root may: "
                               "echo 1 >%s)",
                               path, path);
    if (fd >= 0)
        (void)close(fd);
    return status;
}
