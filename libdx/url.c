/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "ivshmem_device.h"
#include "region.h"

#define NAME_MAX_SHM 200u
#define SCHEMES "shm:NAME, file:PATH, unix:PATH, memfd:, ivshmem:plain or ivshmem:doorbell"
#define ADDRESS "?addr="

static dx_status parse_shm(const char *name, struct dx_url *out)
{
    size_t length = strlen(name);
    if (length == 0 || length > NAME_MAX_SHM || name[0] == '.')
        return dx_fail(DX_ERR_URL, "shm:%.60s: a name has 1 to %u characters and no leading dot",
                       name, NAME_MAX_SHM);
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        if (!isalnum((unsigned char)c) && strchr("._-", c) == NULL)
            return dx_fail(DX_ERR_URL, "shm:%.60s: character %zu is not one of A-Z a-z 0-9 . _ -",
                           name, i + 1);
    }
    out->kind = DX_REGION_SHM;
    (void)snprintf(out->path, sizeof out->path, "/dev/shm/%s", name);
    return DX_OK;
}

static dx_status parse_path(const char *scheme, const char *path, struct dx_url *out)
{
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof out->path)
        return dx_fail(DX_ERR_URL, "%s needs a path of 1 to %zu bytes, this one has %zu", scheme,
                       sizeof out->path - 1, length);
    if (path[0] == '/') {
        memcpy(out->path, path, length + 1);
        return DX_OK;
    }
    /* The name is looked for and removed later, when the program may be in another folder. */
    if (getcwd(out->path, sizeof out->path) == NULL)
        return dx_fail_errno("%s%.60s: the current folder cannot be told", scheme, path);
    size_t folder = strlen(out->path);
    if (folder + 1 + length >= sizeof out->path)
        return dx_fail(DX_ERR_URL, "%s%.60s: the path from / has more than %zu bytes", scheme, path,
                       sizeof out->path - 1);
    (void)snprintf(out->path + folder, sizeof out->path - folder, "%s%s",
                   strcmp(out->path, "/") == 0 ? "" : "/", path);
    return DX_OK;
}

static dx_status parse_file(const char *path, struct dx_url *out)
{
    out->kind = DX_REGION_FILE;
    return parse_path("file:", path, out);
}

static dx_status parse_unix(const char *path, struct dx_url *out)
{
    out->kind = DX_REGION_UNIX;
    return parse_path("unix:", path, out);
}

static dx_status parse_memfd(const char *number, struct dx_url *out)
{
    out->kind = DX_REGION_MEMFD;
    out->fd = -1;
    (void)snprintf(out->path, sizeof out->path, "memfd:%.20s", number);
    if (*number == '\0')
        return DX_OK;
    char *end;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (!isdigit((unsigned char)*number) || *end != '\0' || errno != 0 || fd > INT_MAX)
        return dx_fail(DX_ERR_URL, "memfd:%.60s: a descriptor is a number", number);
    out->fd = (int)fd;
    return DX_OK;
}

static dx_status parse_ivshmem(const char *rest, struct dx_url *out)
{
    static const char plain[] = "plain";
    static const char doorbell[] = "doorbell";
    size_t length = strcspn(rest, "?");
    const char *options = rest + length;
    out->kind = DX_REGION_IVSHMEM;
    out->doorbell = length == sizeof doorbell - 1 && memcmp(rest, doorbell, length) == 0;
    if (!out->doorbell && (length != sizeof plain - 1 || memcmp(rest, plain, length) != 0))
        return dx_fail(DX_ERR_URL, "ivshmem:%.60s: use ivshmem:plain or ivshmem:doorbell", rest);
    if (*options == '\0')
        return DX_OK;
    const char *address = options + strlen(ADDRESS);
    if (strncmp(options, ADDRESS, strlen(ADDRESS)) != 0 || !dx_ivshmem_is_address(address))
        return dx_fail(DX_ERR_URL,
                       "ivshmem:%.60s: a device is chosen by ?addr= and its PCI address, such as "
                       "ivshmem:plain?addr=0000:00:03.0",
                       rest);
    (void)snprintf(out->path, sizeof out->path, "%s", address);
    return DX_OK;
}

dx_status dx_url_parse(const char *url, struct dx_url *out)
{
    static const struct {
        const char *scheme;
        dx_status (*parse)(const char *rest, struct dx_url *out);
    } schemes[] = {
        {"shm:", parse_shm},   {"file:", parse_file},       {"memfd:", parse_memfd},
        {"unix:", parse_unix}, {"ivshmem:", parse_ivshmem},
    };
    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (url == NULL)
        return dx_fail(DX_ERR_URL, "no URL given: use " SCHEMES);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i].scheme);
        if (strncmp(url, schemes[i].scheme, length) == 0)
            return schemes[i].parse(url + length, out);
    }
    return dx_fail(DX_ERR_URL, "%.60s: unknown transport: use " SCHEMES, url);
}

dx_status dx_url_new(const char *url, struct dx_url **out)
{
    *out = NULL;
    struct dx_url *parsed = malloc(sizeof *parsed);
    if (parsed == NULL)
        return dx_fail(DX_ERR_SYSTEM, "%.60s: no memory for this URL", url != NULL ? url : "");
    dx_status status = dx_url_parse(url, parsed);
    if (status == DX_OK)
        *out = parsed;
    else
        free(parsed);
    return status;
}
