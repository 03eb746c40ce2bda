/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and texts for people, as short as they can be. */
#ifndef DX_TOOL_UNITS_H
#define DX_TOOL_UNITS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define UNITS_BYTES 32

/* "64 KiB", "1.5 MiB"; "12 s", "3 min", "5 h", "2 d". They return text. */
const char *units_bytes(char text[UNITS_BYTES], uint64_t bytes);
const char *units_age(char text[UNITS_BYTES], int64_t seconds);

/* At most six characters: "151ns", "1.20us", "34.5ms", "2.10s", "65min". Returns text. */
const char *units_time(char text[UNITS_BYTES], uint64_t ns);

/* At most five characters: "0", "0.25", "734", "12.3k", "1.23M". */
const char *units_rate(char text[UNITS_BYTES], double per_second);

/* Prints a text of others on one line: what is no printable character becomes '?'. */
void units_print_text(const char *text, FILE *out);

/* The same into a buffer, and what is not ASCII becomes '?', too. */
void units_copy_ascii(char *out, size_t bytes, const char *text);

#endif
