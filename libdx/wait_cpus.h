/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may use. */
#ifndef DX_WAIT_CPUS_H
#define DX_WAIT_CPUS_H

#include <stdint.h>

/* Returns how many CPUs the calling thread may run on, or fewer if a cgroup's quota allows less
 * time; at least 1. It reads files, so call it when a channel opens and not in a wait. */
uint32_t dx_cpus(void);

/* Returns the limit of one cgroup's cpu.max, such as "150000 100000": whole CPUs, at least 1; 0 if
 * it sets no limit. */
uint32_t dx_cpus_of_quota(const char *cpu_max);

#endif
