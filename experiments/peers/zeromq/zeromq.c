/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ZeroMQ: REQ and REP over ipc:, as its own latency test (perf/local_lat). A socket for each
 * caller, one REP socket for all. Its documentation names no setting for latency.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "../c/peer.h"

struct requester {
    void *socket;
    size_t bytes;
};

static void *context;

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

/* linger of 0: what was not sent when a socket is closed is dropped. */
static void *open_socket(int type)
{
    int linger = 0;
    if (context == NULL)
        context = zmq_ctx_new();
    void *socket = context == NULL ? NULL : zmq_socket(context, type);
    if (socket == NULL || zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) != 0)
        peer_fail("socket: %s", zmq_strerror(errno));
    return socket;
}

/* The response is the message of the request: no byte is copied. */
static void *answer(void *socket)
{
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    while (zmq_msg_recv(&message, socket, 0) >= 0 && zmq_msg_send(&message, socket, 0) >= 0) {
    }
    peer_fail("serve: %s", zmq_strerror(errno));
}

void peer_serve(const struct peer_options *options)
{
    char *address = address_of(options);
    void *socket = open_socket(ZMQ_REP);
    if (zmq_bind(socket, address) != 0)
        peer_fail("%s: %s", address, zmq_strerror(errno));
    free(address);
    peer_thread(answer, socket);
}

void *peer_open(const struct peer_options *options, unsigned caller)
{
    (void)caller;
    struct requester *r = peer_new(sizeof *r);
    char *address = address_of(options);
    r->bytes = options->payload_bytes;
    r->socket = open_socket(ZMQ_REQ);
    if (zmq_connect(r->socket, address) != 0)
        peer_fail("%s: %s", address, zmq_strerror(errno));
    free(address);
    return r;
}

int peer_call(void *caller, const void *request, void *response)
{
    const struct requester *r = caller;
    if (zmq_send(r->socket, request, r->bytes, 0) != (int)r->bytes)
        return -1;
    return zmq_recv(r->socket, response, r->bytes, 0) == (int)r->bytes ? 0 : -1;
}

void peer_end(const struct peer_options *options, int server)
{
    char *path = peer_path(options, "socket");
    if (server)
        (void)remove(path);
    free(path);
}
