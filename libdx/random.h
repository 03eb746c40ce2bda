/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that nobody else has: of lives, of temporary names. */
#ifndef DX_RANDOM_H
#define DX_RANDOM_H

#include <stdint.h>

/* Never 0, and never waits. Where the kernel gives no random bytes (a filter of system calls, an
 * early moment of a boot), it is made of what differs between processes, threads and moments: it
 * is still another one each time, but it could be guessed. */
uint64_t dx_random64(void);

#endif
