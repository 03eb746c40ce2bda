/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libdx in C. The client is the host and makes the region; the server is the guest, whose one
 * thread answers all callers.
 */
#include <stdio.h>
#include <string.h>

#include "../../../libdx/dx.h"
#include "../c/peer.h"

#define PATIENCE_NS 60000000000ll /* for the other side to come */
#define TYPE_ECHO DX_TYPE_USER

static struct dx_channel *channel;

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        peer_fail("%s: %s (%s)", what, dx_status_string(status), dx_last_error());
}

/* "c-NAME": NAME is a preset of the wait strategy; parked is the default without any spinning. */
static void choose_wait(const struct peer_options *options, struct dx_wait *wait)
{
    const char *name = options->way + strlen("c-");
    if (strcmp(name, "parked") != 0) {
        check(dx_wait_preset(name, wait), name);
        return;
    }
    check(dx_wait_preset("balanced", wait), name);
    wait->spin_min = wait->spin_max = wait->spin_start = wait->spin_inc = wait->spin_dec = 0;
    wait->yield_every = wait->burst = 0;
    wait->adapt = DX_ADAPT_OFF;
}

/* The region's name is that of the folder. */
static char *url_of(const struct peer_options *options)
{
    const char *slash = strrchr(options->at, '/');
    const char *name = slash == NULL ? options->at : slash + 1;
    size_t bytes = strlen("shm:") + strlen(name) + 1;
    char *url = peer_new(bytes);
    (void)snprintf(url, bytes, "shm:%s", name);
    return url;
}

static int32_t echo(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    memcpy(response->data, request->data, request->bytes);
    response->bytes = request->bytes;
    return 0;
}

static int no_host_yet(dx_status status)
{
    return status == DX_ERR_NO_PEER || status == DX_ERR_STALE || status == DX_ERR_TIMEOUT ||
           status == DX_ERR_GUEST_EXISTS;
}

/* Serves a host to its end. */
static void serve_host(const char *url, const struct dx_wait *wait)
{
    struct dx_channel *guest;
    dx_status status = dx_attach(url, wait, PATIENCE_NS, &guest);
    if (no_host_yet(status))
        return;
    check(status, "attach");
    status = dx_serve(guest, echo, NULL, NULL);
    if (status != DX_ERR_PEER_CLOSED && status != DX_ERR_PEER_DEAD)
        check(status, "serve");
    check(dx_close(guest), "close");
}

/* Serves one host after the other, as libdx/examples/restart_guest.c. */
static void *serve(void *argument)
{
    const struct peer_options *options = argument;
    const char *url = url_of(options);
    struct dx_wait wait;
    choose_wait(options, &wait);
    for (;;)
        serve_host(url, &wait);
    return NULL;
}

void peer_serve(const struct peer_options *options)
{
    peer_thread(serve, (void *)options); /* it is never written to */
}

struct dx_client {
    struct dx_caller *caller;
    size_t bytes;
    struct dx_client *next; /* of all, so that peer_end finds them */
};

static struct dx_client *clients;

void *peer_open(const struct peer_options *options, unsigned caller)
{
    struct dx_client *client = peer_new(sizeof *client);
    client->bytes = options->payload_bytes;
    if (caller == 0) {
        struct dx_wait wait;
        uint32_t bytes = (uint32_t)options->payload_bytes;
        struct dx_config config = {.slots = options->callers,
                                   .request_capacity = bytes,
                                   .response_capacity = bytes,
                                   .wait = &wait};
        choose_wait(options, &wait);
        check(dx_create(url_of(options), &config, &channel), "create");
        check(dx_wait_peer(channel, PATIENCE_NS), "wait for the server");
    }
    check(dx_caller_open(channel, 0, &client->caller), "open a caller");
    client->next = clients;
    clients = client;
    return client;
}

int peer_call(void *caller, const void *request, void *response)
{
    const struct dx_client *client = caller;
    size_t bytes = client->bytes;
    dx_status status = dx_call(client->caller, TYPE_ECHO, request, client->bytes, response, &bytes,
                               NULL, DX_FOREVER);
    return status == DX_OK && bytes == client->bytes ? 0 : -1;
}

/* The server closes whenever its host has. */
void peer_end(const struct peer_options *options, int server)
{
    (void)options;
    if (server)
        return;
    for (struct dx_client *client = clients; client != NULL; client = client->next)
        dx_caller_close(client->caller);
    check(dx_close(channel), "close");
}
