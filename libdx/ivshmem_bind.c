/* SPDX-License-Identifier: Apache-2.0 */
/* Gives an ivshmem device to vfio-pci, so that it can interrupt a program. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dx_device.h"
#include "error.h"
#include "fd.h"
#include "ivshmem_device.h"
#include "transport.h"

#define DRIVER "vfio-pci"

static dx_status write_text(const char *path, const char *text)
{
    int fd = dx_fd_open(path, O_WRONLY);
    ssize_t length = (ssize_t)strlen(text);
    ssize_t wrote = fd >= 0 ? write(fd, text, (size_t)length) : -1;
    dx_status status =
        wrote == length
            ? DX_OK
            : dx_fail_errno("%s: cannot be written to (root may: echo %s >%s)", path, text, path);
    if (fd >= 0)
        (void)close(fd);
    return status;
}

/* The driver that the device has now; "" if none. */
static void driver_of(const struct dx_ivshmem_device *device, char *out, size_t out_bytes)
{
    char path[300];
    char link[300];
    dx_ivshmem_path(device, "driver", path, sizeof path);
    ssize_t length = readlink(path, link, sizeof link - 1);
    link[length > 0 ? length : 0] = '\0';
    const char *name = strrchr(link, '/');
    (void)snprintf(out, out_bytes, "%.60s", name != NULL ? name + 1 : link);
}

/* modprobe also loads what vfio-pci needs, in the right order. */
static dx_status load_driver(void)
{
    char path[300];
    char *const arguments[] = {(char *)"modprobe", (char *)DRIVER, NULL};
    char *const environment[] = {(char *)"PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL};
    pid_t child;
    int ended = -1;
    dx_ivshmem_sysfs("bus/pci/drivers/" DRIVER, path, sizeof path);
    if (access(path, F_OK) == 0)
        return DX_OK;
    if (posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environment) == 0)
        while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
            ;
    return access(path, F_OK) == 0
               ? DX_OK
               : dx_fail(DX_ERR_SYSTEM,
                         "the kernel has no driver " DRIVER " and modprobe does "
                         "not find it (status %d)",
                         ended);
}

static dx_status bind(const struct dx_ivshmem_device *device)
{
    char path[300];
    char driver[64];
    dx_status status = load_driver();
    driver_of(device, driver, sizeof driver);
    if (status == DX_OK && strcmp(driver, DRIVER) == 0)
        return DX_OK;
    if (status == DX_OK) {
        dx_ivshmem_path(device, "driver_override", path, sizeof path);
        status = write_text(path, DRIVER);
    }
    if (status == DX_OK && *driver != '\0') {
        dx_ivshmem_path(device, "driver/unbind", path, sizeof path);
        status = write_text(path, device->address);
    }
    /* No longer possible with a driver. Without it only ivshmem:doorbell could be attached. */
    if (status == DX_OK)
        status = dx_ivshmem_enable(device);
    if (status == DX_OK) {
        dx_ivshmem_sysfs("bus/pci/drivers_probe", path, sizeof path);
        status = write_text(path, device->address);
    }
    if (status != DX_OK)
        return status;
    driver_of(device, driver, sizeof driver);
    if (strcmp(driver, DRIVER) == 0)
        return DX_OK;
    return dx_fail(DX_ERR_SYSTEM,
                   "%s: " DRIVER
                   " does not take it: without an IOMMU it never does (" DX_IVSHMEM_IOMMU ")",
                   device->directory);
}

static dx_status find_and_bind(const char *url)
{
    struct dx_url *parsed;
    struct dx_ivshmem_device device;
    dx_status status = dx_url_new(url, &parsed);
    if (status == DX_OK && parsed->transport != &dx_transport_ivshmem)
        status = dx_fail(DX_ERR_URL, "%.60s: names no device: use ivshmem:doorbell", url);
    if (status == DX_OK)
        status = dx_ivshmem_find(parsed->path, &device);
    free(parsed);
    return status == DX_OK ? bind(&device) : status;
}

dx_status dx_device_bind(const char *url)
{
    uint64_t mark = dx_error_mark();
    return dx_error_settle(mark, find_and_bind(url));
}
