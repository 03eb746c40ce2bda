/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ivshmem:plain and ivshmem:doorbell: the guest's side of ivshmem: BAR 2 of the device, mapped from
 * sysfs.
 *
 * `resource2_wc` is asked for first. Under most hypervisors both files give cached memory, as the
 * hypervisor's own page tables win; where they do not, that one is write-combining, whose stores
 * may pass each other, and our protocol relies on their order. So the mapping is told by timing,
 * and if it is not cached the other file is taken, which is uncached and slow, and in order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "fd.h"
#include "ivshmem_device.h"
#include "ivshmem_vfio.h"
#include "rendezvous_link.h"
#include "transport.h"

#define ADDRESS "?addr="
#define PROBE_BYTES 32768u
#define PROBE_ROUNDS 8
/* Cached lines take about 1 ns each, emulated ones some; uncached ones 100 and more. */
#define CACHED_LINE_NS 40

static dx_status parse_ivshmem(const char *rest, struct dx_url *out)
{
    static const char plain[] = "plain";
    static const char doorbell[] = "doorbell";
    size_t length = strcspn(rest, "?");
    const char *options = rest + length;
    out->doorbell = length == sizeof doorbell - 1 && memcmp(rest, doorbell, length) == 0;
    if (!out->doorbell && (length != sizeof plain - 1 || memcmp(rest, plain, length) != 0))
        return dx_fail(DX_ERR_URL, "ivshmem:%.60s: use ivshmem:plain or ivshmem:doorbell", rest);
    if (*options == '\0')
        return DX_OK;
    const char *address = options + strlen(ADDRESS);
    if (strncmp(options, ADDRESS, strlen(ADDRESS)) != 0 || !dx_ivshmem_is_address(address))
        return dx_fail(DX_ERR_URL,
                       "ivshmem:%.60s: a device is chosen by ?addr= and its PCI address, such as "
                       "ivshmem:plain?addr=0000:00:03.0",
                       rest);
    (void)snprintf(out->path, sizeof out->path, "%s", address);
    return DX_OK;
}

/* The time of the fastest of a few rounds over the first lines. */
static bool is_cached(const struct dx_region *region)
{
    uint64_t lines = (region->bytes < PROBE_BYTES ? region->bytes : PROBE_BYTES) / DX_LINE;
    const char *base = region->base;
    int64_t best_ns = INT64_MAX;
    for (int round = 0; round < PROBE_ROUNDS; round++) {
        int64_t start = dx_clock_ns();
        for (uint64_t line = 0; line < lines; line++)
            (void)*(const volatile uint32_t *)(const void *)(base + line * DX_LINE);
        int64_t took_ns = dx_clock_ns() - start;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    return best_ns < (int64_t)lines * CACHED_LINE_NS;
}

static dx_status open_resource(struct dx_region *region, const struct dx_ivshmem_device *device,
                               const char *name)
{
    char *path = region->url.path;
    dx_ivshmem_path(device, name, path, sizeof region->url.path);
    region->fd = dx_fd_open(path, region->read_only ? O_RDONLY : O_RDWR);
    if (region->fd < 0 && errno == ENOENT)
        return dx_fail(DX_ERR_NO_PEER, "%s: the device has no memory: is its server running?",
                       path);
    if (region->fd < 0)
        return dx_fail_errno("%s: cannot be opened (it is root's; chown it, or run as root)", path);
    struct stat s;
    if (fstat(region->fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", path);
    if (s.st_size < (off_t)DX_HEADER_BYTES)
        return dx_fail(DX_ERR_SHORT, "%s: the device has %lld bytes, a dx region at least %u", path,
                       (long long)s.st_size, DX_HEADER_BYTES);
    return dx_region_map(region, (uint64_t)s.st_size);
}

static void drop(struct dx_region *region)
{
    dx_region_unmap(region);
    if (region->fd >= 0)
        (void)close(region->fd);
    region->fd = -1;
}

/* The doorbell, or a notice why there is none. vfio comes first: it may reset the device. */
static dx_status open_bells(struct dx_region *region, const struct dx_ivshmem_device *device)
{
    struct dx_ivshmem_bells bells;
    dx_status status = dx_ivshmem_bells_open(device, &bells);
    if (status != DX_OK || bells.bell < 0)
        (void)snprintf(region->notice, sizeof region->notice, "%s; %s", dx_last_error(),
                       status == DX_OK
                           ? "the other side can be rung through sysfs, and is polled for"
                           : "both sides poll");
    return status == DX_OK ? dx_link_of_device(&bells, &region->link) : DX_OK;
}

static dx_status attach_ivshmem(struct dx_region *out)
{
    struct dx_ivshmem_device device;
    dx_status status = dx_ivshmem_find(out->url.path, &device);
    if (status == DX_OK && out->url.doorbell && !out->read_only)
        status = open_bells(out, &device);
    if (status == DX_OK && !out->read_only)
        status = dx_ivshmem_enable(&device);
    if (status != DX_OK)
        return status;
    status = open_resource(out, &device, "resource2_wc");
    if (status == DX_OK && is_cached(out))
        return DX_OK;
    /* Not there, or not in order. */
    if (status == DX_OK || status == DX_ERR_NO_PEER) {
        drop(out);
        status = open_resource(out, &device, "resource2");
    }
    return status;
}

const struct dx_transport dx_transport_ivshmem = {
    .scheme = "ivshmem:",
    .usage = "ivshmem:plain or ivshmem:doorbell",
    .kernels = DX_OTHER_KERNEL,
    .name = DX_NAME_NONE,
    .parse = parse_ivshmem,
    .attach = attach_ivshmem,
};
