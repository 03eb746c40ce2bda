/* SPDX-License-Identifier: Apache-2.0 */
/* The guest: counts the lines and bytes of each stream, as it comes, until the host closes. */
#include <dx/dx.h>
#include <err.h>
#include <stdio.h>

/* Calls are not what this guest is for. */
static int32_t refuse(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return -1;
}

/* Runs on the serving thread, and waits there for as long as the host lives: other slots would be
 * served by other threads (dx_serve_options.threads), or if it returned DX_STREAM_AGAIN instead. */
static int32_t count(void *user, struct dx_stream *stream)
{
    (void)user;
    unsigned long long lines = 0;
    for (;;) {
        const void *data;
        size_t bytes;
        dx_status status = dx_stream_peek(stream, 1, &data, &bytes, DX_FOREVER);
        if (status != DX_OK)
            return status; /* the host gave up, closed or died */
        if (bytes == 0)
            break; /* the host has finished */
        for (size_t i = 0; i < bytes; i++)
            lines += ((const char *)data)[i] == '\n';
        dx_stream_consume(stream, bytes); /* the host may write there again */
    }
    char text[64];
    int bytes = snprintf(text, sizeof text, "%llu lines, %llu bytes", lines,
                         (unsigned long long)dx_stream_bytes_read(stream));
    return dx_stream_write(stream, text, (size_t)bytes, NULL, DX_FOREVER);
}

int main(int argc, char **argv)
{
    const struct dx_serve_options options = {.stream = count};
    struct dx_channel *channel;
    const char *url = argc > 1 ? argv[1] : "shm:dx-example";
    if (dx_attach(url, NULL, 10000000000ll, &channel) != DX_OK)
        errx(1, "attach: %s", dx_last_error());
    dx_status status = dx_serve(channel, refuse, NULL, &options);
    dx_close(channel);
    if (status != DX_ERR_PEER_CLOSED)
        errx(1, "serve: %s", dx_status_string(status));
}
