/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: measure_call host|guest URL CALLS
 *
 * The host makes so many calls of 64 bytes, and the guest answers as many. It is for valgrind,
 * which counts what a call executes: the program that runs in it is slow, so that the other side's
 * word is there whenever it looks, and nothing is counted but the way from one word to the next.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dx.h"

#define BYTES 64

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        errx(1, "%s: %s. %s", what, dx_status_string(status), dx_last_error());
}

static int32_t echo(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    memcpy(response->data, request->data, BYTES);
    response->bytes = BYTES;
    return 0;
}

/* Counting begins and ends with this function. */
__attribute__((noinline)) static void make_calls(struct dx_caller *caller, long calls)
{
    char request[BYTES] = "request";
    char response[BYTES];
    for (long i = 0; i < calls; i++) {
        size_t bytes = sizeof response;
        check(dx_call(caller, DX_TYPE_USER, request, BYTES, response, &bytes, NULL, DX_FOREVER),
              "call");
    }
}

static void be_host(const char *url, long calls)
{
    struct dx_config config = {.slots = 1, .request_capacity = BYTES, .response_capacity = BYTES};
    struct dx_channel *channel;
    struct dx_caller *caller;
    check(dx_create(url, &config, &channel), "create");
    check(dx_caller_open(channel, DX_FOREVER, &caller), "open a caller");
    check(dx_wait_peer(channel, DX_FOREVER), "wait for the guest");
    check(dx_call(caller, DX_TYPE_USER, NULL, 0, NULL, NULL, NULL, DX_FOREVER), "first call");
    make_calls(caller, calls);
    dx_caller_close(caller);
    check(dx_close(channel), "close");
}

static void be_guest(const char *url)
{
    struct dx_channel *channel;
    check(dx_attach(url, NULL, DX_FOREVER, &channel), "attach");
    dx_status status = dx_serve(channel, echo, NULL, NULL);
    if (status != DX_ERR_PEER_CLOSED)
        check(status, "serve");
    check(dx_close(channel), "close");
}

int main(int argc, char **argv)
{
    long calls = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
    if (calls < 1)
        errx(2, "usage: %s host|guest URL CALLS", argv[0]);
    if (strcmp(argv[1], "host") == 0)
        be_host(argv[2], calls);
    else
        be_guest(argv[2]);
    return 0;
}
