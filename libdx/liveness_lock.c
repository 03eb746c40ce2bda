/* SPDX-License-Identifier: Apache-2.0 */
/* Open-file-description locks: the kernel drops them when the last descriptor of the description
 * is closed, however its process ended. So a lock that is held means a peer that lives, and no
 * process id can be mistaken for another. */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "liveness_kernel.h"
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

/* Both are done again if they were interrupted, which happens over a network. */
static int set_lock(int fd, struct flock *lock)
{
    int result;
    do
        result = fcntl(fd, F_OFD_SETLK, lock);
    while (result != 0 && errno == EINTR);
    return result;
}

static int get_lock(int fd, struct flock *lock)
{
    int result;
    do
        result = fcntl(fd, F_OFD_GETLK, lock);
    while (result != 0 && errno == EINTR);
    return result;
}

dx_status dx_region_lock(int fd, uint32_t which, const char *path)
{
    struct flock lock = lock_of(which, F_WRLCK);
    if (set_lock(fd, &lock) == 0)
        return DX_OK;
    return errno == EAGAIN || errno == EACCES ? DX_ERR_BUSY
                                              : dx_fail_errno("%s: cannot be locked", path);
}

dx_status dx_region_unlock(int fd, uint32_t which, const char *path)
{
    struct flock lock = lock_of(which, F_UNLCK);
    return set_lock(fd, &lock) == 0 ? DX_OK : dx_fail_errno("%s: cannot be unlocked", path);
}

enum dx_lock_look dx_region_lock_look_by(int fd, uint32_t which)
{
    struct flock lock = lock_of(which, F_WRLCK);
    if (get_lock(fd, &lock) != 0)
        return DX_LOCK_UNSEEN;
    return lock.l_type != F_UNLCK ? DX_LOCK_HELD : DX_LOCK_FREE;
}

bool dx_region_lock_held(int fd, uint32_t which)
{
    return dx_region_lock_look_by(fd, which) == DX_LOCK_HELD;
}

dx_status dx_region_lock_see(int fd, uint32_t which, const char *path, bool *held)
{
    enum dx_lock_look look = dx_region_lock_look_by(fd, which);
    *held = look == DX_LOCK_HELD;
    return look != DX_LOCK_UNSEEN ? DX_OK : dx_fail_errno("%s: cannot see who holds it", path);
}

void dx_region_lock_hint(int fd, uint32_t which)
{
    struct flock lock = lock_of(which | DX_LOCK_HINT, F_RDLCK);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

dx_status dx_region_lock_out_guest(int fd, uint32_t place, const char *path)
{
    for (int looks = 0; looks < GUEST_LOOKS; looks++) {
        dx_status status = dx_region_lock(fd, dx_lock_at(place, DX_LOCK_GUEST), path);
        if (status != DX_ERR_BUSY)
            return status;
        struct timespec look = dx_clock_timespec(GUEST_LOOK_NS);
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &look, NULL);
    }
    return DX_ERR_BUSY;
}

dx_status dx_region_lock_out_guests(int fd, const char *path)
{
    dx_status status = DX_OK;
    for (uint32_t place = DX_GUESTS_MAX; place-- > 0 && status == DX_OK;) {
        status = dx_region_lock_out_guest(fd, place, path);
        if (status == DX_OK && place != 0)
            status = dx_region_unlock(fd, dx_lock_at(place, DX_LOCK_GUEST), path);
    }
    return status;
}
