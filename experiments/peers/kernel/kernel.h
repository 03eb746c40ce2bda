/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own ways between two processes, each in its plain blocking form: one connection and
 * one serving thread a caller. Those in shared memory copy the payload there and wake the other
 * side by a futex or an eventfd for each message.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include "../c/peer.h"

/* One way. */
struct way {
    const char *name;
    /* Makes what clients look for, and starts what serves them. */
    void (*serve)(const struct peer_options *options);
    void *(*open)(const struct peer_options *options, unsigned caller);
    int (*call)(void *caller, const void *request, void *response);
    void (*end)(const struct peer_options *options);
};

extern const struct way way_pipe;
extern const struct way way_unix_stream;
extern const struct way way_unix_seqpacket;
extern const struct way way_tcp;
extern const struct way way_mq;
extern const struct way way_eventfd;
extern const struct way way_futex;

/* A listening Unix socket FOLDER/socket, and a connection to it. type: SOCK_STREAM or
 * SOCK_SEQPACKET. */
int kernel_listen(const struct peer_options *options, int type);
int kernel_connect(const struct peer_options *options, int type);

/* Removes FOLDER/socket. */
void kernel_remove_socket(const struct peer_options *options);

#endif
