/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that nobody else has, for sessions and temporary names. */
#ifndef DX_RANDOM_H
#define DX_RANDOM_H

#include <stdint.h>

/* Never 0, and never waits. Where the kernel gives no random bytes (a filter of system calls, an
 * early moment of a boot), the number comes from what differs between processes, threads and
 * moments. It is still another one each time, but somebody could guess it. */
uint64_t dx_random64(void);

#endif
