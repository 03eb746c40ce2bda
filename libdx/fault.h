/* SPDX-License-Identifier: Apache-2.0 */
/* Fault points: moments in which crash tests let a process die or stop. tests/fault_points.h names
 * them. They compile to nothing in the library. The copy that those tests link is compiled with
 * DX_FAULTS. */
#ifndef DX_FAULT_H
#define DX_FAULT_H

#ifdef DX_FAULTS
#include "tests/fault_points.h"
#define DX_FAULT(point) dx_fault_reached(DX_FAULT_##point)
#else
#define DX_FAULT(point) ((void)0)
#endif

#endif
