/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a verb: its flags, and the URLs after them. */
#ifndef DX_TOOL_OPTIONS_H
#define DX_TOOL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct tool_flag {
    const char *name;   /* without the dash */
    bool *set;          /* a flag without a value sets this */
    const char **value; /* one with a value stores it here, if `set` is NULL */
};

#define TOOL_FLAGS_MAX 8

struct tool_syntax {
    const char *verb;
    const char *usage; /* printed by -h */
    struct tool_flag flags[TOOL_FLAGS_MAX];
};

/* Reads the flags. Returns an exit code if there is no more to do (after -h, or wrong usage), else
 * -1; optind is the first URL then. */
int tool_parse(const struct tool_syntax *syntax, int argc, char **argv);

/* After tool_parse: -1 if there is one URL, or one prefix of URLs at most; TOOL_USAGE and a text if
 * not. */
int tool_expect_url(const struct tool_syntax *syntax, int argc);
int tool_expect_prefix(const struct tool_syntax *syntax, int argc);

/* Says that a flag's value is wrong: what it takes. Returns TOOL_USAGE. */
int tool_wrong_value(const struct tool_syntax *syntax, const char *what, const char *value);

/* Reads a number of seconds, 0.1 to 3600, as ns. False if it is none. */
bool tool_parse_seconds(const char *text, long long *ns);

#endif
