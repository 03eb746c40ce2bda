/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel we run under. Locks, futexes and process ids mean something within one kernel only:
 * a program in a virtual machine sees none of those of its host, though it shares the memory. */
#ifndef DX_KERNEL_H
#define DX_KERNEL_H

#include <stdint.h>

/* The same number in all processes of one running kernel, another one in every other; never 0.
 * Where the kernel does not say (no /proc), a number of this process alone: then processes take
 * each other's heartbeats for proof, which always works and is only slower. Any thread. */
uint64_t dx_kernel_id(void);

/* For tests: another kernel than the one that we are under; 0: the truth. Locks of one pretended
 * kernel are not seen in another. Set it before the first channel is opened. */
void dx_kernel_pretend(uint32_t number);
uint32_t dx_kernel_pretended(void);

#endif
