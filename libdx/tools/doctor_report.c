/* SPDX-License-Identifier: Apache-2.0 */
/* The findings of dx doctor, for people and for programs. */
#include <stdarg.h>
#include <string.h>

#include "doctor.h"
#include "json_text.h"

static const char *const levels[DOCTOR_LEVELS] = {"ok", "warning", "problem"};

static void append(char *text, const char *format, va_list arguments)
{
    size_t used = strlen(text);
    (void)vsnprintf(text + used, DOCTOR_TEXT_BYTES - used, format, arguments);
}

struct finding *doctor_add(struct doctor *d, const char *check, enum doctor_level level,
                           const char *format, ...)
{
    if (d->count < DOCTOR_FINDINGS)
        d->count++;
    struct finding *f = &d->findings[d->count - 1];
    va_list arguments;
    memset(f, 0, sizeof *f);
    (void)snprintf(f->check, sizeof f->check, "%s", check);
    f->level = level;
    va_start(arguments, format);
    append(f->found, format, arguments);
    va_end(arguments);
    return f;
}

void doctor_append(struct finding *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(f->found, format, arguments);
    va_end(arguments);
}

void doctor_advise(struct finding *f, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    append(f->advice, format, arguments);
    va_end(arguments);
}

size_t doctor_count(const struct doctor *d, enum doctor_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++)
        count += d->findings[i].level == level;
    return count;
}

/* Words from `text` in lines of at most 100 columns, each but the first behind an indent. */
static void print_wrapped(const char *text, FILE *out)
{
    const size_t indent = 23;
    const size_t width = 100 - indent;
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column != 0 && column + 1 + word > width) {
            (void)fprintf(out, "\n%*s", (int)indent, "");
            column = 0;
        } else if (column != 0) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fprintf(out, "%.*s", (int)word, text);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

void doctor_print(const struct doctor *d, FILE *out)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        (void)fprintf(out, "%-7s  %-12s  ", levels[f->level], f->check);
        print_wrapped(f->found, out);
        if (f->advice[0] != '\0') {
            (void)fprintf(out, "%21s> ", "");
            print_wrapped(f->advice, out);
        }
    }
    size_t warnings = doctor_count(d, DOCTOR_WARNING);
    size_t problems = doctor_count(d, DOCTOR_PROBLEM);
    (void)fprintf(out, "\n%zu ok, %zu warning%s, %zu problem%s\n", doctor_count(d, DOCTOR_OK),
                  warnings, warnings == 1 ? "" : "s", problems, problems == 1 ? "" : "s");
}

void doctor_print_json(const struct doctor *d, FILE *out)
{
    (void)fprintf(out, "{\n  \"ok\": %zu,\n  \"warnings\": %zu,\n  \"problems\": %zu,\n",
                  doctor_count(d, DOCTOR_OK), doctor_count(d, DOCTOR_WARNING),
                  doctor_count(d, DOCTOR_PROBLEM));
    (void)fputs("  \"findings\": {", out);
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        (void)fprintf(out, "%s\n    \"%s\": {\"level\": \"%s\", \"found\": ", i == 0 ? "" : ",",
                      f->check, levels[f->level]);
        json_print_text(f->found, out);
        (void)fputs(", \"advice\": ", out);
        if (f->advice[0] == '\0')
            (void)fputs("null", out);
        else
            json_print_text(f->advice, out);
        (void)fputc('}', out);
    }
    (void)fputs("\n  }\n}\n", out);
}
