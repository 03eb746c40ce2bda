/* SPDX-License-Identifier: Apache-2.0 */
/* The host: streams its standard input, of any size, to stream_guest through a ring of 64 KiB, and
 * prints what the guest says of it. Start it before or after stream_guest, with the same URL. */
#include <dx/dx.h>
#include <err.h>
#include <stdio.h>
#include <unistd.h>

#define DEADLINE_NS 10000000000ll /* of each wait for the guest, to come first of all */

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        errx(1, "%s: %s. %s", what, dx_status_string(status), dx_last_error());
}

/* Reads into the ring itself, so that nothing is copied on the way to the guest. */
static void send_input(struct dx_stream *stream)
{
    for (;;) {
        void *room;
        size_t bytes;
        check(dx_stream_reserve(stream, 1, &room, &bytes, DEADLINE_NS), "write");
        ssize_t got = read(STDIN_FILENO, room, bytes);
        if (got < 0)
            err(1, "standard input");
        if (got == 0)
            break;
        dx_stream_commit(stream, (size_t)got); /* the guest reads it from now on */
    }
    dx_stream_close_write(stream);
}

int main(int argc, char **argv)
{
    struct dx_config config = {.slots = 1, .request_capacity = 65536, .response_capacity = 64};
    struct dx_channel *channel;
    struct dx_caller *caller;
    struct dx_stream *stream;
    char reply[64];
    size_t reply_bytes;
    int32_t handler_status;
    check(dx_create(argc > 1 ? argv[1] : "shm:dx-example", &config, &channel), "create");
    check(dx_caller_open(channel, DEADLINE_NS, &caller), "open a caller");
    check(dx_stream_open(caller, DX_TYPE_USER, NULL, DEADLINE_NS, &stream), "open a stream");
    send_input(stream);
    check(dx_stream_read(stream, reply, sizeof reply, &reply_bytes, DEADLINE_NS), "read");
    check(dx_stream_end(stream, &handler_status, DEADLINE_NS), "end the stream");
    check(handler_status, "the guest's handler");
    printf("%.*s\n", (int)reply_bytes, reply);
    dx_caller_close(caller);
    check(dx_close(channel), "close");
}
