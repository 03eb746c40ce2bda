/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "transport.h"

dx_status dx_url_parse_path(const char *path, struct dx_url *out)
{
    const char *scheme = out->transport->scheme;
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
