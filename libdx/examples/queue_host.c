/* SPDX-License-Identifier: Apache-2.0 */
/* The host with many calls in flight: asks the guest of the example guest.c for ten squares, four
 * at a time from one thread. The tag of a call is the number. */
#include <dx/dx.h>
#include <err.h>
#include <stdio.h>

#define DEADLINE_NS                                                                                \
    10000000000ll /* each call; the first ones wait this long for a guest to come                  \
                   */
#define LAST 10
#define DEPTH 4

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        errx(1, "%s: %s. %s", what, dx_status_string(status), dx_last_error());
}

static void submit(struct dx_queue *queue, int number)
{
    check(
        dx_queue_submit(queue, (uint64_t)number, DX_TYPE_USER, &number, sizeof number, DEADLINE_NS),
        "submit");
}

/* Answers come in any order. Each makes room for the next call. */
static void ask_all(struct dx_queue *queue)
{
    struct dx_completion done[DEPTH];
    uint32_t count;
    int next = 1;
    while (next <= DEPTH)
        submit(queue, next++);
    while (dx_queue_in_flight(queue) != 0) {
        check(dx_queue_wait(queue, 1, DX_FOREVER, done, DEPTH, &count), "wait");
        for (uint32_t i = 0; i < count; i++) {
            check(done[i].result, "call");
            printf("%d squared is %.*s\n", (int)done[i].tag, (int)done[i].bytes,
                   (const char *)done[i].data);
            dx_queue_seen(queue, &done[i]);
            if (next <= LAST)
                submit(queue, next++);
        }
    }
}

int main(int argc, char **argv)
{
    struct dx_config config = {.slots = DEPTH, .request_capacity = 32, .response_capacity = 32};
    struct dx_channel *channel;
    struct dx_queue *queue;
    check(dx_create(argc > 1 ? argv[1] : "shm:dx-example", &config, &channel), "create");
    check(dx_queue_open(channel, DEPTH, &queue), "open a queue");
    ask_all(queue);
    dx_queue_close(queue);
    check(dx_close(channel), "close");
}
