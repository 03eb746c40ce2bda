/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of a channel, in a process of its own whose calls never fail. It takes one order
 * at a time, by a socket, and answers each with a status. While it has a channel it serves calls
 * and streams by echo.
 */
#ifndef DX_TEST_WORLD_PEER_H
#define DX_TEST_WORLD_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "dx.h"

#define PEER_URL_BYTES 256
#define PEER_WORDS 12

/* Longer than anything takes unless it hangs. */
#define PEER_PATIENCE_NS 20000000000ll

#define PEER_TYPE_ECHO DX_TYPE_USER
#define PEER_TYPE_STOP (DX_TYPE_USER + 1u) /* the server stops its channel */

#define PEER_SLOTS 2u
#define PEER_CAPACITY 256u
#define PEER_STREAM_BYTES 3000u

enum peer_order {
    PEER_CREATE = 'C',    /* url: creates the region; a descriptor comes back of memfd: */
    PEER_ATTACH = 'A',    /* url: attaches; of memfd: the descriptor goes along */
    PEER_CALL = 'Q',      /* calls us twice */
    PEER_STREAM = 'T',    /* streams to us and back */
    PEER_HALT = 'X',      /* calls us with PEER_TYPE_STOP */
    PEER_AWAIT_END = 'P', /* waits until the other side is not alive any more; 0: it closed */
    PEER_CLOSE = 'E',
    PEER_TOOL = 'W', /* words: runs the command dx with them, until it gets SIGTERM */
    PEER_DIE = 'D',  /* no answer: the process is gone, all else stays as it was */
};

struct peer {
    pid_t pid;
    int socket;
};

/* Starts it. From a process without threads. */
bool peer_start(struct peer *p);

/* Gives an order without waiting for its answer, and takes the answer. fd -1: none. */
void peer_send(struct peer *p, enum peer_order order, const char *url, int fd);
dx_status peer_answer(struct peer *p, int *fd);

dx_status peer_do(struct peer *p, enum peer_order order, const char *url, int fd);

/* The main of dx.c. */
int tool_main(int argc, char **argv);

/* Kills it if it still lives. */
void peer_end(struct peer *p);

/* What all of these programs answer requests and streams with. `user` is the channel. */
int32_t peer_handler(void *user, const struct dx_request *request, struct dx_response *response);
int32_t peer_stream_handler(void *user, struct dx_stream *stream);

/* Two verified calls, or a verified stream there and back, by a caller of this channel. */
dx_status peer_calls(struct dx_channel *channel, int64_t timeout_ns);
dx_status peer_queues(struct dx_channel *channel, int64_t timeout_ns);
dx_status peer_streams(struct dx_channel *channel, int64_t timeout_ns);

/* The region that all make. */
struct dx_config peer_config(const struct dx_wait *wait);

#endif
