/* SPDX-License-Identifier: Apache-2.0 */
/* What is to happen at which fault point: written by the test, read by the process that is to die
 * or stop there, in memory that both share. */
#ifndef DX_FAULT_PLAN_H
#define DX_FAULT_PLAN_H

#include <stdatomic.h>
#include <stdint.h>

#include "fault_points.h"

struct fault_plan {
    _Atomic uint32_t point;
    _Atomic uint32_t visits; /* it happens at this visit from now on, the first being 1 */
    _Atomic uint32_t signal;
    _Atomic int32_t reports; /* descriptor to which FAULT_REPORT is written right before */
};

#define FAULT_REPORT 'F'

/* This process' plan; NULL, as at the start, if nothing is to happen to it. */
extern struct fault_plan *fault_plan;

#endif
