/* SPDX-License-Identifier: Apache-2.0 */
/* What dx reset does to one region, and to all that dead processes left. */
#ifndef DX_TOOL_RESET_H
#define DX_TOOL_RESET_H

#include <stdbool.h>

#include "../dx_status.h"

/* Clears one region, and says so; the error says why it is left as it was. */
dx_status reset_one(const char *url, bool force);

/* Shows what is left behind under URLs that begin with a prefix (NULL: all), and clears it: if
 * `yes`, without asking. Returns an exit code. */
int reset_all(const char *prefix, bool yes);

#endif
