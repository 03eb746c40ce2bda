/* SPDX-License-Identifier: Apache-2.0 */
/* Open-file-description locks: the kernel drops them when the last descriptor of the description
 * is closed, however its process ended. So a lock that is held means a peer that lives, and no
 * process id can be mistaken for another. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "region.h"

/* Far beyond any region: some programs lock the bytes that they map. */
#define LOCK_OFFSET 0x4000000000000000ll

static struct flock lock_of(enum dx_side side, short type)
{
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = LOCK_OFFSET + (off_t)side, .l_len = 1};
}

bool dx_region_lock_try(int fd, enum dx_side side)
{
    struct flock lock = lock_of(side, F_WRLCK);
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void dx_region_unlock(int fd, enum dx_side side)
{
    struct flock lock = lock_of(side, F_UNLCK);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

bool dx_region_lock_held(int fd, enum dx_side side)
{
    struct flock lock = lock_of(side, F_WRLCK);
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
