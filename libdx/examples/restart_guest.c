/* SPDX-License-Identifier: Apache-2.0 */
/* A guest that serves one host after the other, until it gets SIGINT or SIGTERM. It goes on after
 * its host has closed, died or been started again. */
#include <dx/dx.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define ATTACH_NS 1000000000 /* how long a signal may wait while there is no host */

static volatile sig_atomic_t stopped;
static struct dx_channel *volatile serving;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
    if (serving != NULL)
        dx_stop(serving); /* NOLINT(bugprone-signal-handler,cert-sig30-c): made for it */
}

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

static int no_host_yet(dx_status status)
{
    return status == DX_ERR_NO_PEER || status == DX_ERR_STALE || status == DX_ERR_TIMEOUT ||
           status == DX_ERR_GUEST_EXISTS;
}

/* Serves one host to its end. */
static void serve(struct dx_channel *channel)
{
    serving = channel;
    dx_status status = stopped ? DX_ERR_STOPPED : dx_serve(channel, square, NULL, NULL);
    serving = NULL;
    dx_close(channel);
    if (status != DX_ERR_PEER_CLOSED && status != DX_ERR_PEER_DEAD && status != DX_ERR_STOPPED)
        errx(1, "serve: %s", dx_status_string(status));
}

int main(int argc, char **argv)
{
    const char *url = argc > 1 ? argv[1] : "shm:dx-example";
    (void)signal(SIGINT, stop);
    (void)signal(SIGTERM, stop);
    while (!stopped) {
        struct dx_channel *channel;
        dx_status status = dx_attach(url, NULL, ATTACH_NS, &channel);
        if (status == DX_OK)
            serve(channel);
        else if (!no_host_yet(status))
            errx(1, "attach: %s", dx_last_error());
    }
}
