/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait strategies from files. The files are TOML without tables, which is also what inih reads; it
 * splits lines into keys and values, and what a value may be is decided here. Without inih (a build
 * by cgo, where Go reads the files) only presets are known.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dx_wait.h"
#include "error.h"
#include "fd.h"
#include "wait_fields.h"

#ifdef DX_INIH
#include <ini.h>

#define TEXT_MAX 200

/* One reading of a file. The preset that it begins from is found by a first one. */
struct reading {
    struct dx_wait *wait; /* NULL in the first */
    char preset[TEXT_MAX];
    bool seen[DX_WAIT_FIELDS_MAX + 1]; /* the last one: preset */
    char wrong[2 * TEXT_MAX];
};

static int refuse(struct reading *r, const char *format, const char *key, const char *value)
{
    if (r->wrong[0] == '\0')
        (void)snprintf(r->wrong, sizeof r->wrong, format, key, value);
    return 0;
}

/* Takes a comment off the end of a value, and blanks. */
static void trim(char *value)
{
    bool quoted = false;
    char *end = value;
    for (; *end != '\0' && (*end != '#' || quoted); end++)
        quoted ^= *end == '"';
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *end = '\0';
}

/* TOML's integers: decimal, 0x, 0o, 0b, with single underscores between digits. */
static bool parse_integer(const char *text, int64_t *out)
{
    char digits[TEXT_MAX];
    size_t n = 0;
    int sign = *text == '-' ? -1 : 1;
    text += *text == '-' || *text == '+';
    int base = strncmp(text, "0x", 2) == 0   ? 16
               : strncmp(text, "0o", 2) == 0 ? 8
               : strncmp(text, "0b", 2) == 0 ? 2
                                             : 10;
    text += base == 10 ? 0 : 2;
    for (const char *c = text; *c != '\0'; c++) {
        bool bar = *c == '_';
        if (bar && (c == text || c[-1] == '_' || c[1] == '\0'))
            return false;
        if (!bar)
            digits[n++] = *c;
        if (n == sizeof digits)
            return false;
    }
    digits[n] = '\0';
    if (n == 0 || (base == 10 && n > 1 && digits[0] == '0') ||
        strspn(digits, "0123456789abcdefABCDEF") != n)
        return false;
    char *end;
    errno = 0;
    *out = sign * strtoll(digits, &end, base);
    return errno == 0 && *end == '\0';
}

/* A string in double quotes, without escapes, which no name here needs. */
static bool parse_string(const char *text, char *out)
{
    size_t length = strlen(text);
    if (length < 2 || text[0] != '"' || text[length - 1] != '"' || strchr(text, '\\') != NULL)
        return false;
    memcpy(out, text + 1, length - 2);
    out[length - 2] = '\0';
    return strchr(out, '"') == NULL;
}

static int set_name(struct reading *r, const struct dx_wait_field *f, const char *text)
{
    char name[TEXT_MAX];
    if (!parse_string(text, name))
        return refuse(r, "%s = %s: a string in double quotes belongs there", f->name, text);
    for (int64_t i = 0; i <= f->max; i++) {
        if (strcmp(f->names[i], name) == 0) {
            dx_wait_field_set(f, r->wait, i);
            return 1;
        }
    }
    return refuse(r, "%s = \"%s\": no such value", f->name, name);
}

static int set(struct reading *r, const struct dx_wait_field *f, const char *text)
{
    int64_t number;
    if (f->kind == DX_WAIT_NAME)
        return set_name(r, f, text);
    if (!parse_integer(text, &number))
        return refuse(r, "%s = %s: an integer belongs there", f->name, text);
    if (f->kind == DX_WAIT_UINT32 && (number < 0 || number > UINT32_MAX))
        return refuse(r, "%s = %s: 0 to 4294967295 are possible", f->name, text);
    dx_wait_field_set(f, r->wait, number);
    return 1;
}

/* For inih: 1 if the line is right. */
static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    char text[TEXT_MAX];
    (void)snprintf(text, sizeof text, "%s", value);
    trim(text);
    if (*section != '\0')
        return refuse(r, "table [%s]: a wait strategy has none%s", section, "");
    size_t index = 0;
    while (index < dx_wait_field_count && strcmp(dx_wait_fields[index].name, name) != 0)
        index++;
    if (index == dx_wait_field_count && strcmp(name, "preset") != 0)
        return refuse(r, "unknown key \"%s\"%s", name, "");
    if (r->seen[index])
        return refuse(r, "%s is there twice%s", name, "");
    r->seen[index] = true;
    if (index == dx_wait_field_count)
        return parse_string(text, r->preset)
                   ? 1
                   : refuse(r, "%s = %s: a string in double quotes belongs there", name, text);
    return r->wait == NULL ? 1 : set(r, &dx_wait_fields[index], text);
}

/* For inih: fgets without blanks at the beginning, which it would take for a continued value. */
static char *next_line(char *line, int room, void *file)
{
    if (fgets(line, room, file) == NULL)
        return NULL;
    size_t blanks = strspn(line, " \t");
    memmove(line, line + blanks, strlen(line + blanks) + 1);
    return line;
}

/* What ini_parse returns: 0, the line of the first error, or -1 with errno if it cannot be read. */
static int parse_file(const char *path, ini_handler handler, void *user)
{
    FILE *file = dx_fd_read_text(path);
    if (file == NULL)
        return -1;
    int line = ini_parse_stream(next_line, file, handler, user);
    int saved = errno;
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    errno = saved;
    return failed ? -1 : line;
}

static dx_status read_once(const char *path, struct reading *r)
{
    int line = parse_file(path, take_line, r);
    if (line == 0)
        return DX_OK;
    if (line < 0 && errno != ENOENT)
        return dx_fail_errno("%s: the file of a wait strategy cannot be read", path);
    if (line < 0)
        return dx_fail(DX_ERR_INVALID,
                       "wait strategy \"%s\" is neither a preset (balanced, latency, throughput, "
                       "low-power) nor a file",
                       path);
    return dx_fail(DX_ERR_INVALID, "%s: line %d: %s", path, line,
                   r->wrong[0] != '\0' ? r->wrong : "no key = value");
}

/* Finds the line of a key, for a value that only the whole shows to be impossible. */
static int is_not_key(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    (void)value;
    return strcmp(user, name) != 0;
}

static dx_status check(const char *path, const struct dx_wait *wait)
{
    dx_status status = dx_wait_check(wait);
    char key[32] = "";
    if (status == DX_OK || sscanf(dx_last_error(), "wait strategy: %31s", key) != 1)
        return status;
    int line = parse_file(path, is_not_key, key);
    char where[TEXT_MAX];
    if (line > 0)
        (void)snprintf(where, sizeof where, "%.160s: line %d", path, line);
    else
        (void)snprintf(where, sizeof where, "%.190s", path);
    return dx_fail_at(status, where);
}

static dx_status load(const char *path, struct dx_wait *wait)
{
    /* One for both, for the sake of small stacks. */
    struct reading r = {.preset = "balanced"};
    dx_status status = read_once(path, &r);
    if (status != DX_OK)
        return status;
    status = dx_wait_preset(r.preset, wait);
    if (status != DX_OK)
        return dx_fail_at(status, path);
    memset(r.seen, 0, sizeof r.seen);
    r.wait = wait;
    status = read_once(path, &r);
    return status == DX_OK ? check(path, wait) : status;
}
#else
static dx_status load(const char *path, struct dx_wait *wait)
{
    (void)wait;
    return dx_fail(DX_ERR_INVALID,
                   "wait strategy \"%s\" is no preset (balanced, latency, throughput, low-power), "
                   "and this libdx was built without inih, so that it reads no files",
                   path);
}
#endif

dx_status dx_wait_load(const char *name_or_path, struct dx_wait *wait)
{
    if (name_or_path == NULL || *name_or_path == '\0')
        return dx_fail(DX_ERR_INVALID, "no wait strategy is named");
    for (unsigned i = 0; dx_wait_preset_name(i) != NULL; i++)
        if (strcmp(dx_wait_preset_name(i), name_or_path) == 0)
            return dx_wait_preset(name_or_path, wait);
    struct dx_wait loaded;
    uint64_t mark = dx_error_mark();
    dx_status status = load(name_or_path, &loaded);
    if (status == DX_OK)
        *wait = loaded;
    return dx_error_settle(mark, status);
}

dx_status dx_wait_default(struct dx_wait *wait)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): whoever changes the environment has one thread. */
    const char *chosen = getenv("DX_WAIT");
    if (chosen == NULL || *chosen == '\0')
        return dx_wait_preset("balanced", wait);
    dx_status status = dx_wait_load(chosen, wait);
    return status == DX_OK ? DX_OK : dx_fail_at(status, "DX_WAIT");
}
