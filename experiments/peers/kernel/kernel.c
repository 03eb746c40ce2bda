/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel.h"

#include <signal.h>
#include <string.h>

static const struct way *const ways[] = {&way_pipe, &way_unix_stream, &way_unix_seqpacket, &way_tcp,
                                         &way_mq,   &way_eventfd,     &way_futex};

static const struct way *way;

static void choose(const struct peer_options *options)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i]->name, options->way) == 0)
            way = ways[i];
    if (way == NULL)
        peer_fail("-way %s: there is no such way", options->way);
    (void)signal(SIGPIPE, SIG_IGN); /* a caller that has gone ends its thread and not the process */
}

void peer_serve(const struct peer_options *options)
{
    choose(options);
    way->serve(options);
}

void *peer_open(const struct peer_options *options, unsigned caller)
{
    choose(options);
    return way->open(options, caller);
}

int peer_call(void *caller, const void *request, void *response)
{
    return way->call(caller, request, response);
}

void peer_end(const struct peer_options *options, int server)
{
    if (server)
        way->end(options);
}
