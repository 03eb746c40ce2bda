/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel we run under. Locks, futexes and process ids mean something within one kernel only:
 * a program in a virtual machine sees none of those of its host, though it shares the memory. */
#ifndef DX_LIVENESS_KERNEL_H
#define DX_LIVENESS_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* The same number in all processes of one running kernel, another one in every other; never 0.
 * While the kernel does not say, a number of this process alone. Any thread. */
uint64_t dx_kernel_id(void);

/* Is it known which kernel this is? If not, that is tried again. Any thread. */
bool dx_kernel_find(void);

/* For tests: another kernel than the one that we are under; 0: the truth. Locks of one pretended
 * kernel are not seen in another. DX_KERNEL_UNKNOWN: the true one, of which nobody can say which it
 * is. Set it before the first channel is opened. */
#define DX_KERNEL_UNKNOWN UINT32_MAX
void dx_kernel_pretend(uint32_t number);
uint32_t dx_kernel_pretended(void);

#endif
