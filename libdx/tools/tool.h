/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the command line tool dx: each gets its own arguments, argv[0] being the verb. */
#ifndef DX_TOOL_H
#define DX_TOOL_H

#include <stdbool.h>

#include "../dx_status.h"

/* Exit codes. */
enum { TOOL_OK = 0, TOOL_FAILED = 1, TOOL_USAGE = 2 };

int tool_doctor(int argc, char **argv);
int tool_forward(int argc, char **argv);
int tool_histogram(int argc, char **argv);
int tool_info(int argc, char **argv);
int tool_ls(int argc, char **argv);
int tool_metrics(int argc, char **argv);
int tool_bind(int argc, char **argv);
int tool_rendezvous(int argc, char **argv);
int tool_reset(int argc, char **argv);
int tool_top(int argc, char **argv);

/* Says on standard error why a library call failed; TOOL_USAGE for a malformed URL. */
int tool_fail(const char *verb, dx_status status);

/* Ends standard output; a full disk is a failure, too. */
int tool_end_output(const char *verb);

#endif
