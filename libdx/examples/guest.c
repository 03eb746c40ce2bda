/* SPDX-License-Identifier: Apache-2.0 */
/* The guest: answers each number with its square until the host closes. */
#include <dx/dx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS 10000000000ll /* how long to wait for a host to come */

static int failed(const char *what, dx_status status)
{
    (void)fprintf(stderr, "guest: %s: %s (%s)\n", what, dx_status_string(status), dx_last_error());
    return EXIT_FAILURE;
}

/* Runs on the serving thread; what it returns is the handler status that the caller sees. */
static int32_t square(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    char text[16], *end;
    size_t bytes = request->bytes;
    if (bytes == 0 || bytes >= sizeof text)
        return 1;
    memcpy(text, request->data, bytes);
    text[bytes] = '\0';
    long number = strtol(text, &end, 10);
    if (*end != '\0' || number < -1000000 || number > 1000000)
        return 1;
    char answer[32];
    response->bytes = (size_t)snprintf(answer, sizeof answer, "%ld", number * number);
    if (response->bytes <= response->capacity) /* else the library tells the caller */
        memcpy(response->data, answer, response->bytes);
    return 0;
}

int main(int argc, char **argv)
{
    struct dx_channel *channel;
    dx_status status =
        dx_attach(argc > 1 ? argv[1] : "shm:dx-example", NULL, PATIENCE_NS, &channel);
    if (status != DX_OK)
        return failed("attach", status);
    int result = EXIT_SUCCESS;
    status = dx_serve(channel, square, NULL, NULL);
    if (status != DX_ERR_PEER_CLOSED)
        result = failed("serve", status);
    status = dx_close(channel);
    return status == DX_OK ? result : failed("close", status);
}
