/* SPDX-License-Identifier: Apache-2.0 */
/* The host: asks a guest for ten squares. Start it before or after guest, with the same URL. It
 * goes on if the guest ends and another one comes. */
#include <dx/dx.h>
#include <err.h>
#include <stdio.h>

#define DEADLINE_NS 10000000000ll /* the first call waits this long for a guest to come */

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        errx(1, "%s: %s. %s", what, dx_status_string(status), dx_last_error());
}

/* The square of a number, from the guest that is there or from the next one. A call that lost its
 * guest may have run: this one may run twice. */
static size_t ask(struct dx_caller *caller, int number, char *reply, size_t room)
{
    for (;;) {
        size_t bytes = room;
        dx_status status =
            dx_call(caller, DX_TYPE_USER, &number, sizeof number, reply, &bytes, NULL, DEADLINE_NS);
        if (status == DX_OK)
            return bytes;
        if (status != DX_ERR_PEER_DEAD && status != DX_ERR_PEER_CLOSED && status != DX_ERR_LOST)
            check(status, "call");
    }
}

int main(int argc, char **argv)
{
    struct dx_config config = {.slots = 1, .request_capacity = 32, .response_capacity = 32};
    struct dx_channel *channel;
    struct dx_caller *caller;
    check(dx_create(argc > 1 ? argv[1] : "shm:dx-example", &config, &channel), "create");
    check(dx_caller_open(channel, DEADLINE_NS, &caller), "open a caller");
    for (int number = 1; number <= 10; number++) {
        char reply[32];
        size_t bytes = ask(caller, number, reply, sizeof reply);
        printf("%d squared is %.*s\n", number, (int)bytes, reply);
    }
    dx_caller_close(caller);
    check(dx_close(channel), "close");
}
