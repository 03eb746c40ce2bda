/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DX_TOOL_SIGNALS_H
#define DX_TOOL_SIGNALS_H

#include <stdbool.h>

/* Blocks SIGINT and SIGTERM, and SIGHUP if `hangup`, and returns a descriptor that becomes readable
 * when one comes; -1 with errno if there is none. Before any thread is started. */
int signals_take(bool hangup);

#endif
