/* SPDX-License-Identifier: Apache-2.0 */
/* The host: asks a guest for ten squares. Start it before or after guest, with the same URL. */
#include <dx/dx.h>

#include <stdio.h>
#include <stdlib.h>

#define CALLS 10
#define DEADLINE_NS 10000000000ll /* the first call waits this long for a guest to come */

static int failed(const char *what, dx_status status)
{
    (void)fprintf(stderr, "host: %s: %s (%s)\n", what, dx_status_string(status), dx_last_error());
    return EXIT_FAILURE;
}

static dx_status ask(struct dx_caller *caller, int number)
{
    char request[16], reply[32];
    int request_bytes = snprintf(request, sizeof request, "%d", number);
    size_t reply_bytes = sizeof reply;
    int32_t handler_status = 0;
    dx_status status = dx_call(caller, DX_TYPE_USER, request, (size_t)request_bytes, reply,
                               &reply_bytes, &handler_status, DEADLINE_NS);
    if (status == DX_OK && handler_status == 0)
        printf("%d squared is %.*s\n", number, (int)reply_bytes, reply);
    else if (status == DX_OK)
        printf("the guest does not know the square of %d\n", number);
    return status;
}

int main(int argc, char **argv)
{
    struct dx_config config = DX_CONFIG_INIT;
    config.request_capacity = 32;
    config.response_capacity = 32;
    struct dx_channel *channel;
    dx_status status = dx_create(argc > 1 ? argv[1] : "shm:dx-example", &config, &channel);
    if (status != DX_OK)
        return failed("create", status);
    struct dx_caller *caller;
    status = dx_caller_open(channel, DEADLINE_NS, &caller);
    if (status != DX_OK) {
        int result = failed("open a caller", status);
        dx_close(channel);
        return result;
    }
    int result = EXIT_SUCCESS;
    for (int number = 1; number <= CALLS && result == EXIT_SUCCESS; number++) {
        status = ask(caller, number);
        if (status != DX_OK)
            result = failed("call", status);
    }
    dx_caller_close(caller);
    status = dx_close(channel);
    return status == DX_OK ? result : failed("close", status);
}
