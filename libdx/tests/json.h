/* SPDX-License-Identifier: Apache-2.0 */
/* A strict reader of JSON (RFC 8259), for tests of what programs are to read. */
#ifndef DX_TEST_JSON_H
#define DX_TEST_JSON_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define JSON_DEPTH 16

static inline const char *json_space(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/* Each of these returns what follows what it has read, or NULL. */
static inline const char *json_string(const char *p)
{
    if (*p++ != '"')
        return NULL;
    while (*p != '"') {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p == '\\' && *++p == 'u') {
            if (strspn(p + 1, "0123456789abcdefABCDEF") < 4)
                return NULL;
            p += 4;
        } else if (p[-1] == '\\' && strchr("\"\\/bfnrt", *p) == NULL) {
            return NULL;
        }
        p++;
    }
    return p + 1;
}

static inline const char *json_digits(const char *p)
{
    size_t digits = strspn(p, "0123456789");
    return digits != 0 ? p + digits : NULL;
}

static inline const char *json_number(const char *p)
{
    if (*p == '-')
        p++;
    p = *p == '0' ? p + 1 : json_digits(p);
    if (p != NULL && *p == '.')
        p = json_digits(p + 1);
    if (p != NULL && (*p == 'e' || *p == 'E')) {
        p++;
        p = json_digits(*p == '+' || *p == '-' ? p + 1 : p);
    }
    return p;
}

static inline const char *json_literal(const char *p)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(p, words[i], strlen(words[i])) == 0)
            return p + strlen(words[i]);
    return NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as JSON_DEPTH */
static inline const char *json_value(const char *p, int depth)
{
    if (depth > JSON_DEPTH)
        return NULL;
    if (*p == '"')
        return json_string(p);
    if (*p != '{' && *p != '[')
        return *p == '-' || isdigit((unsigned char)*p) ? json_number(p) : json_literal(p);
    bool object = *p == '{';
    char end = object ? '}' : ']';
    p = json_space(p + 1);
    if (*p == end)
        return p + 1;
    for (;;) {
        if (object) {
            p = json_string(p);
            p = p != NULL ? json_space(p) : "";
            if (*p++ != ':')
                return NULL;
            p = json_space(p);
        }
        p = json_value(p, depth + 1);
        if (p == NULL)
            return NULL;
        p = json_space(p);
        if (*p == end)
            return p + 1;
        if (*p++ != ',')
            return NULL;
        p = json_space(p);
    }
}

static inline bool json_is_valid(const char *text)
{
    const char *end = json_value(json_space(text), 0);
    return end != NULL && *json_space(end) == '\0';
}

/* The member of an object that is called so; NULL if there is none. The text must be valid. */
static inline const char *json_member(const char *object, const char *key, size_t key_bytes)
{
    const char *p = json_space(object);
    if (*p++ != '{')
        return NULL;
    while (*(p = json_space(p)) == '"') {
        const char *behind = json_string(p);
        bool found = (size_t)(behind - p) == key_bytes + 2 && memcmp(p + 1, key, key_bytes) == 0;
        p = json_space(json_space(behind) + 1);
        if (found)
            return p;
        p = json_space(json_value(p, 0));
        if (*p == ',')
            p++;
    }
    return NULL;
}

/* Copies what stands under a path like "peers.host.pid", as it is written; false if nothing does.
 * The text must be valid. */
static inline bool json_get(const char *text, const char *path, char *value, size_t value_bytes)
{
    const char *p = text;
    for (;;) {
        size_t key_bytes = strcspn(path, ".");
        p = json_member(p, path, key_bytes);
        if (p == NULL)
            return false;
        if (path[key_bytes] == '\0')
            break;
        path += key_bytes + 1;
    }
    (void)snprintf(value, value_bytes, "%.*s", (int)(json_value(p, 0) - p), p);
    return true;
}

#endif
