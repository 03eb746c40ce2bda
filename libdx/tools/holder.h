/* SPDX-License-Identifier: Apache-2.0 */
/* Which process holds a lock of a region. The kernel tells of these locks only that they are held,
 * and what the region itself says may be damaged or of another time. */
#ifndef DX_TOOL_HOLDER_H
#define DX_TOOL_HOLDER_H

#include <sys/types.h>

#include "../region.h"

/* The process, other than this one, that holds the lock of the file behind fd; 0 if it cannot be
 * found: in another process namespace, or of another user. After a fork, one of them. */
pid_t tool_holder(int fd, uint32_t lock);

#define TOOL_HOLDER_BYTES 48

/* "process N", or that it is not to be seen from here, in TOOL_HOLDER_BYTES. */
const char *tool_holder_text(int fd, uint32_t lock, char *text);

#endif
