/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static const struct dx_transport *const transports[] = {
    &dx_transport_shm,   &dx_transport_file,    &dx_transport_unix,
    &dx_transport_memfd, &dx_transport_ivshmem,
};
/* NOLINTNEXTLINE(bugprone-sizeof-expression): pointers */
static const size_t count = sizeof transports / sizeof *transports;

/* What can be used instead. */
static dx_status refuse(const char *what)
{
    char usage[256];
    int used = 0;
    for (size_t i = 0; i < count; i++)
        used += snprintf(usage + used, sizeof usage - (size_t)used, "%s%s",
                         i == 0          ? ""
                         : i + 1 < count ? ", "
                                         : " or ",
                         transports[i]->usage);
    return dx_fail(DX_ERR_URL, "%s: use %s", what, usage);
}

dx_status dx_url_parse(const char *url, struct dx_url *out)
{
    memset(out, 0, sizeof *out);
    out->fd = -1;
    if (url == NULL)
        return refuse("no URL given");
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(transports[i]->scheme);
        if (strncmp(url, transports[i]->scheme, length) != 0)
            continue;
        out->transport = transports[i];
        return transports[i]->parse(url + length, out);
    }
    char what[96];
    (void)snprintf(what, sizeof what, "%.60s: unknown transport", url);
    return refuse(what);
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
