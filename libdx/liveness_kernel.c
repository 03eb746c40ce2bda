/* SPDX-License-Identifier: Apache-2.0 */
#include "liveness_kernel.h"

#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "atomic.h"
#include "fd.h"
#include "random.h"

/* Made anew at every start of a kernel. Some containers are shown one of their own. */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* linux/magic.h has it as TMPFS_MAGIC. */
#define TMPFS 0x01021994

static _Atomic uint64_t known;
static _Atomic uint64_t alone; /* of this process; used while the kernel's is not known */
static _Atomic uint32_t pretended;

/* FNV-1a. */
static uint64_t hash(const char *bytes, size_t count)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < count; i++)
        h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
    return h;
}

/* The file system in which the kernel keeps unnamed memory has a number, random and made anew at
 * every start (since Linux 5.13). No mount hides it, and no container has another. 0: not known. */
static uint64_t memory_id(void)
{
    struct statfs s;
    static const char none[sizeof s.f_fsid];
    int fd = dx_fd_memfd();
    if (fd < 0)
        return 0;
    bool has_number =
        fstatfs(fd, &s) == 0 && s.f_type == TMPFS && memcmp(&s.f_fsid, none, sizeof none) != 0;
    (void)close(fd);
    return has_number ? hash((const char *)&s.f_fsid, sizeof s.f_fsid) : 0;
}

/* 0: /proc is not there, or shows processes only. */
static uint64_t boot_id(void)
{
    char text[64];
    int fd = dx_fd_open(BOOT_ID, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, sizeof text);
    (void)close(fd);
    return got > 0 ? hash(text, (size_t)got) : 0;
}

/* Relaxed, here and below: values that stand for themselves; of threads that ask at once, all take
 * the first one's answer. */
static uint64_t keep(_Atomic uint64_t *place, uint64_t id)
{
    uint64_t none = 0;
    return dx_cas_relaxed(place, &none, id) ? id : none;
}

bool dx_kernel_find(void)
{
    uint32_t number = dx_load_relaxed(&pretended);
    if (number != 0 || dx_load_relaxed(&known) != 0) /* Relaxed: as above. */
        return number != DX_KERNEL_UNKNOWN;
    uint64_t id = memory_id();
    if (id == 0)
        id = boot_id();
    if (id != 0)
        (void)keep(&known, id);
    return id != 0;
}

uint64_t dx_kernel_id(void)
{
    uint32_t number = dx_kernel_pretended();
    if (number != 0)
        return number;
    uint64_t id = dx_load_relaxed(&known); /* Relaxed: as above. */
    if (id != 0 && dx_load_relaxed(&pretended) == 0)
        return id;
    id = dx_load_relaxed(&alone); /* Relaxed: as above. */
    if (id != 0)
        return id;
    return dx_kernel_find() ? dx_load_relaxed(&known) : keep(&alone, dx_random64());
}

void dx_kernel_pretend(uint32_t number)
{
    /* Relaxed: before there is another thread. */
    dx_store_relaxed(&pretended, number);
}

uint32_t dx_kernel_pretended(void)
{
    /* Relaxed: as above. */
    uint32_t number = dx_load_relaxed(&pretended);
    return number != DX_KERNEL_UNKNOWN ? number : 0;
}
