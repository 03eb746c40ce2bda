/* SPDX-License-Identifier: Apache-2.0 */
/* Text for programs that read JSON. */
#ifndef DX_TOOL_JSON_TEXT_H
#define DX_TOOL_JSON_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Prints a JSON string with its quotes. Any bytes may stand in it: what is no well-formed UTF-8
 * becomes U+FFFD. */
void json_print_text(const char *text, FILE *out);

/* Bytes of the character that begins here if it is well-formed UTF-8, else 0. */
size_t json_utf8_bytes(const unsigned char *s);

#endif
