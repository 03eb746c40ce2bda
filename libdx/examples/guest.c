/* SPDX-License-Identifier: Apache-2.0 */
/* The guest: answers each number with its square, as text, until the host closes. */
#include <dx/dx.h>
#include <err.h>
#include <stdio.h>
#include <string.h>

/* Runs on the serving thread; the caller sees what it returns as the handler's status. */
static int32_t square(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    int number;
    if (request->bytes != sizeof number)
        return -1;
    memcpy(&number, request->data, sizeof number);
    int bytes = snprintf(response->data, response->capacity, "%lld", (long long)number * number);
    response->bytes = (size_t)bytes; /* more than the capacity is reported, never cut */
    return 0;
}

int main(int argc, char **argv)
{
    struct dx_channel *channel;
    const char *url = argc > 1 ? argv[1] : "shm:dx-example";
    if (dx_attach(url, NULL, 10000000000ll, &channel) != DX_OK)
        errx(1, "attach: %s", dx_last_error());
    dx_status status = dx_serve(channel, square, NULL, NULL);
    dx_close(channel);
    if (status != DX_ERR_PEER_CLOSED)
        errx(1, "serve: %s", dx_status_string(status));
}
