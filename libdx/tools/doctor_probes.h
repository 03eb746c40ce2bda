/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DX_TOOL_DOCTOR_PROBES_H
#define DX_TOOL_DOCTOR_PROBES_H

#include "doctor.h"

/* Those of this machine. */
struct doctor_probes doctor_probes(void);

#endif
