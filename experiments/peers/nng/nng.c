/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nng: REQ and REP over ipc:. A socket for each caller, one REP socket for all. Its documentation
 * names no setting for latency.
 */
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../c/peer.h"

struct requester {
    nng_socket socket;
    size_t bytes;
};

static void check(int error, const char *what)
{
    if (error != 0)
        peer_fail("%s: %s", what, nng_strerror(error));
}

/* "ipc://FOLDER/socket". The caller frees it. */
static char *address_of(const struct peer_options *options)
{
    char *path = peer_path(options, "socket");
    size_t bytes = strlen("ipc://") + strlen(path) + 1;
    char *address = peer_new(bytes);
    (void)snprintf(address, bytes, "ipc://%s", path);
    free(path);
    return address;
}

/* The response is the message of the request: no byte is copied. */
static void *answer(void *argument)
{
    const nng_socket *socket = argument;
    nng_msg *message;
    int error = 0;
    while (error == 0) {
        error = nng_recvmsg(*socket, &message, 0);
        if (error == 0)
            error = nng_sendmsg(*socket, message, 0);
    }
    check(error, "serve");
    return NULL;
}

void peer_serve(const struct peer_options *options)
{
    char *address = address_of(options);
    nng_socket *socket = peer_new(sizeof *socket);
    check(nng_rep0_open(socket), "open");
    check(nng_socket_set_size(*socket, NNG_OPT_RECVMAXSZ, 0), "messages of any size");
    check(nng_listen(*socket, address, NULL, 0), address);
    free(address);
    peer_thread(answer, socket);
}

void *peer_open(const struct peer_options *options, unsigned caller)
{
    (void)caller;
    struct requester *r = peer_new(sizeof *r);
    char *address = address_of(options);
    r->bytes = options->payload_bytes;
    check(nng_req0_open(&r->socket), "open");
    check(nng_socket_set_size(r->socket, NNG_OPT_RECVMAXSZ, 0), "messages of any size");
    check(nng_dial(r->socket, address, NULL, 0), address);
    free(address);
    return r;
}

int peer_call(void *caller, const void *request, void *response)
{
    const struct requester *r = caller;
    size_t bytes = r->bytes;
    if (nng_send(r->socket, (void *)request, r->bytes, 0) !=
        0) /* without NNG_FLAG_ALLOC it copies */
        return -1;
    return nng_recv(r->socket, response, &bytes, 0) == 0 && bytes == r->bytes ? 0 : -1;
}

void peer_end(const struct peer_options *options, int server)
{
    char *path = peer_path(options, "socket");
    if (server)
        (void)remove(path);
    free(path);
}
