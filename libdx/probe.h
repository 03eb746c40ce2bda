/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static probes (USDT) for bpftrace, perf and their kin: provider libdx. Where the build has found
 * <sys/sdt.h> (the option DX_USDT), a probe is one nop in the code and a note in the file; else it
 * is nothing. A tracer puts a trap in place of the nop, for as long as it traces.
 *
 * Arguments are what lies in registers anyway, so that a probe on the way of a call costs no other
 * instruction. docs/operating.md has a line of bpftrace for each.
 */
#ifndef DX_PROBE_H
#define DX_PROBE_H

#ifdef DX_USDT
#include <sys/sdt.h>
#define DX_PROBE2(name, a, b) STAP_PROBE2(libdx, name, (a), (b))
#else
#define DX_PROBE2(name, a, b) ((void)0)
#endif

#endif
