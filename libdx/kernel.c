/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "atomic.h"
#include "fd.h"

/* Made anew at every start of a kernel. Containers see that of the kernel that they share. */
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static _Atomic uint64_t known;
static _Atomic uint32_t pretended;

/* FNV-1a. */
static uint64_t hash(const char *bytes, size_t count)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < count; i++)
        h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
    return h;
}

static uint64_t read_boot_id(void)
{
    char text[64];
    ssize_t got = -1;
    int fd = dx_fd_open(BOOT_ID, O_RDONLY);
    if (fd >= 0) {
        got = read(fd, text, sizeof text);
        (void)close(fd);
    }
    uint64_t id = 0;
    if (got > 0)
        id = hash(text, (size_t)got);
    while (id == 0)
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            id = 0;
    return id;
}

uint64_t dx_kernel_id(void)
{
    uint32_t number = dx_kernel_pretended();
    if (number != 0)
        return number;
    /* Relaxed: a value that stands for itself. */
    uint64_t id = dx_load_relaxed(&known);
    if (id != 0)
        return id;
    uint64_t none = 0;
    id = read_boot_id();
    /* Relaxed: of threads that ask at once, all take the first one's answer. */
    return dx_cas_relaxed(&known, &none, id) ? id : none;
}

void dx_kernel_pretend(uint32_t number)
{
    /* Relaxed: before there is another thread. */
    dx_store_relaxed(&pretended, number);
}

uint32_t dx_kernel_pretended(void)
{
    /* Relaxed: as above. */
    return dx_load_relaxed(&pretended);
}
