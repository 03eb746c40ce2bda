/* SPDX-License-Identifier: Apache-2.0 */
/* The guest in a loop of libuv (Debian: libuv1-dev): serves the channels that it is given until
 * their hosts close. */
#include <dx/dx.h>
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define CHANNELS_MAX 8

struct served {
    uv_poll_t poll;
    struct dx_channel *channel;
    struct dx_server *server;
};

static int32_t square(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    int number;
    if (request->bytes != sizeof number)
        return -1;
    memcpy(&number, request->data, sizeof number);
    int bytes = snprintf(response->data, response->capacity, "%lld", (long long)number * number);
    response->bytes = (size_t)bytes;
    return 0;
}

static void closed(uv_handle_t *handle)
{
    struct served *s = handle->data;
    dx_server_close(s->server); /* libuv does not watch its descriptor any more */
    dx_close(s->channel);
}

static void readable(uv_poll_t *poll, int failed, int events)
{
    struct served *s = poll->data;
    (void)events;
    dx_status status = failed == 0 ? dx_server_poll(s->server, 0) : DX_ERR_SYSTEM;
    if (status == DX_OK || status == DX_ERR_TIMEOUT)
        return;
    if (status != DX_ERR_PEER_CLOSED)
        warnx("serve: %s", dx_status_string(status));
    uv_close((uv_handle_t *)poll, closed);
}

int main(int argc, char **argv)
{
    static struct served served[CHANNELS_MAX];
    int count = argc - 1 < CHANNELS_MAX ? argc - 1 : CHANNELS_MAX;
    if (count == 0)
        errx(2, "usage: %s URL...", argv[0]);
    for (int i = 0; i < count; i++) {
        struct served *s = &served[i];
        if (dx_attach(argv[i + 1], NULL, 10000000000ll, &s->channel) != DX_OK ||
            dx_server_open(s->channel, square, NULL, NULL, &s->server) != DX_OK ||
            dx_server_fd(s->server) < 0)
            errx(1, "%s: %s", argv[i + 1], dx_last_error());
        s->poll.data = s;
        if (uv_poll_init(uv_default_loop(), &s->poll, dx_server_fd(s->server)) != 0 ||
            uv_poll_start(&s->poll, UV_READABLE, readable) != 0)
            errx(1, "libuv cannot watch the descriptor");
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return uv_loop_close(uv_default_loop()) == 0 ? 0 : 1;
}
