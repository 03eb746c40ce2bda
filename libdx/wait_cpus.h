/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may use. */
#ifndef DX_WAIT_CPUS_H
#define DX_WAIT_CPUS_H

#include <stdint.h>

/* The CPUs that the calling thread may run on, or fewer where a cgroup's quota allows no more time
 * than that of fewer; at least 1. Reads files: when a channel opens, not in a wait. */
uint32_t dx_cpus(void);

/* The same from one cgroup's cpu.max, such as "150000 100000": whole CPUs, at least 1; 0 where it
 * sets no limit. */
uint32_t dx_cpus_of_quota(const char *cpu_max);

#endif
