/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the command line tool dx: each gets its own arguments, argv[0] being the verb. */
#ifndef DX_TOOL_H
#define DX_TOOL_H

/* Exit codes. */
enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

int tool_rendezvous(int argc, char **argv);

#endif
