/* SPDX-License-Identifier: Apache-2.0 */
/* Fault points: the moments in which crash tests let a process die or stop, named in
 * tests/fault_points.h. In the library they are nothing; only the copy of it that those tests are
 * linked to is compiled with DX_FAULTS. */
#ifndef DX_FAULT_H
#define DX_FAULT_H

#ifdef DX_FAULTS
#include "tests/fault_points.h"
#define DX_FAULT(point) dx_fault_reached(DX_FAULT_##point)
#else
#define DX_FAULT(point) ((void)0)
#endif

#endif
