/* SPDX-License-Identifier: Apache-2.0 */
/* Open-file-description locks: the kernel drops them when the last descriptor of the description
 * is closed, however its process ended. So a lock that is held means a peer that lives, and no
 * process id can be mistaken for another. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "kernel.h"
#include "region.h"

/* Far beyond any region: some programs lock the bytes that they map. */
#define LOCK_OFFSET 0x4000000000000000ll

#define GUEST_LOOK_NS 1000000
#define GUEST_LOOKS 10

/* Each kernel that a test pretends has locks of its own. */
#define LOCKS_OF_A_KERNEL 64

static struct flock lock_of(uint32_t which, short type)
{
    off_t start = LOCK_OFFSET + (off_t)dx_kernel_pretended() * LOCKS_OF_A_KERNEL + (off_t)which;
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
}

bool dx_region_lock_try(int fd, uint32_t which)
{
    struct flock lock = lock_of(which, F_WRLCK);
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void dx_region_unlock(int fd, uint32_t which)
{
    struct flock lock = lock_of(which, F_UNLCK);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

bool dx_region_lock_held(int fd, uint32_t which)
{
    struct flock lock = lock_of(which, F_WRLCK);
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static enum dx_lock_look look_at(int fd, uint32_t which)
{
    struct flock lock = lock_of(which, F_WRLCK);
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0)
        return DX_LOCK_UNSEEN;
    return lock.l_type != F_UNLCK ? DX_LOCK_HELD : DX_LOCK_FREE;
}

enum dx_lock_look dx_region_lock_look(const struct dx_region *region, uint32_t which)
{
    enum dx_lock_look look = look_at(region->fd, which);
    if (look == DX_LOCK_HELD || (look == DX_LOCK_FREE && dx_region_fd_is_ours(region)))
        return look;
    int fd = dx_region_open_name(region);
    look = fd >= 0 ? look_at(fd, which) : DX_LOCK_UNSEEN;
    if (fd >= 0)
        (void)close(fd);
    return look;
}

void dx_region_lock_hint(int fd, uint32_t which)
{
    struct flock lock = lock_of(which | DX_LOCK_HINT, F_RDLCK);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

bool dx_region_guest_is_gone(int fd, uint32_t place)
{
    for (int looks = 0; looks < GUEST_LOOKS; looks++) {
        if (dx_region_lock_try(fd, dx_lock_at(place, DX_LOCK_GUEST)))
            return true;
        struct timespec look = dx_clock_timespec(GUEST_LOOK_NS);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &look, NULL);
    }
    return false;
}

bool dx_region_guests_are_gone(int fd)
{
    for (uint32_t place = DX_GUESTS_MAX; place-- > 0;) {
        if (!dx_region_guest_is_gone(fd, place))
            return false;
        if (place != 0)
            dx_region_unlock(fd, dx_lock_at(place, DX_LOCK_GUEST));
    }
    return true;
}
