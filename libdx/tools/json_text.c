/* SPDX-License-Identifier: Apache-2.0 */
#include "json_text.h"

#include <stdbool.h>
#include <stdint.h>

size_t json_utf8_bytes(const unsigned char *s)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t more = 0; more < 4; more++) {
        if ((s[0] & forms[more].mask) != forms[more].lead)
            continue;
        uint32_t code = s[0] & (unsigned char)~forms[more].mask;
        for (size_t i = 1; i <= more; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (s[i] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code < 0xe000;
        return code >= forms[more].least && code < 0x110000 && !surrogate ? more + 1 : 0;
    }
    return 0;
}

/* A path may hold any byte but 0. What is no text becomes U+FFFD. */
void json_print_text(const char *text, FILE *out)
{
    const unsigned char *s = (const unsigned char *)text;
    (void)fputc('"', out);
    while (*s != '\0') {
        size_t bytes = json_utf8_bytes(s);
        if (bytes == 0)
            (void)fputs("\\ufffd", out);
        else if (*s == '"' || *s == '\\')
            (void)fprintf(out, "\\%c", *s);
        else if (*s < 0x20 || *s == 0x7f)
            (void)fprintf(out, "\\u%04x", *s);
        else
            (void)fwrite(s, 1, bytes, out);
        s += bytes != 0 ? bytes : 1;
    }
    (void)fputc('"', out);
}
