/* SPDX-License-Identifier: Apache-2.0 */
#include "units.h"

#include <inttypes.h>

const char *units_bytes(char text[UNITS_BYTES], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1023.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(text, UNITS_BYTES, value < 9.95 ? "%.2g %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *units_age(char text[UNITS_BYTES], int64_t seconds)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    if (seconds < 0)
        seconds = 0; /* the clock was set back */
    size_t unit = 0;
    while (unit < 3 && seconds < 2 * units[unit].seconds)
        unit++;
    (void)snprintf(text, UNITS_BYTES, "%" PRId64 " %s", seconds / units[unit].seconds,
                   units[unit].name);
    return text;
}

const char *units_time(char text[UNITS_BYTES], uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    size_t unit = 0;
    if (value >= 999.5e9) {
        (void)snprintf(text, UNITS_BYTES, "%.0fmin", value / 60e9);
        return text;
    }
    /* What would round up to 1000 has the next unit. */
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1000;
        unit++;
    }
    int digits = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    (void)snprintf(text, UNITS_BYTES, "%.*f%s", digits, value, units[unit]);
    return text;
}

const char *units_rate(char text[UNITS_BYTES], double per_second)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    size_t unit = 0;
    /* What would round up to 1000 has the next unit. */
    while (per_second >= 999.5 && unit + 1 < sizeof units / sizeof *units) {
        per_second /= 1000;
        unit++;
    }
    int digits = per_second < 9.995 ? 2 : per_second < 99.95 ? 1 : 0;
    if (unit == 0 && (per_second >= 9.995 || per_second < 0.005))
        digits = 0;
    (void)snprintf(text, UNITS_BYTES, "%.*f%s", digits, per_second, units[unit]);
    return text;
}

void units_print_text(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        (void)fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
    }
}

void units_copy_ascii(char *out, size_t bytes, const char *text)
{
    size_t i = 0;
    for (; i + 1 < bytes && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        out[i] = text[i];
        if (c < 0x20 || c >= 0x7f)
            out[i] = '?';
    }
    out[i] = '\0';
}
