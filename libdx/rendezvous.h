/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meeting place of peers: a Unix socket that speaks QEMU's ivshmem server protocol, so that a
 * local process and a QEMU device join the same one. It gives each client the memory, an id and
 * everybody's eventfds, and tells the others who came and who left; the end of a client's socket
 * is its death, however it died. Only processes of our own user are let in.
 *
 * Not thread-safe: one thread steps it. It never waits for a client. A client that does not read is
 * sent nothing more, and so harms nobody but itself (rendezvous_member.h). The others are told of a
 * client once it has read its id. It is dropped if it has not read that within
 * DX_RENDEZVOUS_READ_TIMEOUT_NS. A client that stops reading later, for example because it is
 * stopped, is dropped only if it has been silent for as long and another client needs its place or
 * its descriptors. A client that reads is told of each client that came, and once of each that
 * left.
 */
#ifndef DX_RENDEZVOUS_H
#define DX_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>

#include "dx_status.h"

#define DX_RENDEZVOUS_VECTORS_MAX 4u
#define DX_RENDEZVOUS_MEMBERS_MAX 60u
#define DX_RENDEZVOUS_READ_TIMEOUT_NS 10000000000ll

struct dx_rendezvous;

struct dx_rendezvous_config {
    int memory;       /* what clients are given; stays the caller's */
    uint32_t vectors; /* eventfds of each peer, 1 ... DX_RENDEZVOUS_VECTORS_MAX */
    int self;         /* eventfd of the server's process, which is then peer 0; -1: it is none */
    /* Called by dx_rendezvous_step; may be NULL. bell is a descriptor for the callee to own. False:
     * it cannot be kept, and the client is turned away. */
    bool (*joined)(void *user, uint32_t id, int bell);
    void (*left)(void *user, uint32_t id);
    void *user;
};

/* Listens on an unnamed place next to path; dx_rendezvous_publish gives it that name.
 * DX_ERR_SYSTEM, _PERMISSION, _URL (a path that is too long). */
dx_status dx_rendezvous_open(const char *path, const struct dx_rendezvous_config *config,
                             struct dx_rendezvous **out);

/* Takes the name, which must be free or left by a process that is gone. DX_ERR_HOST_EXISTS:
 * somebody listens there. DX_ERR_PERMISSION: it is no socket of ours, and is left alone. */
dx_status dx_rendezvous_publish(struct dx_rendezvous *r);

/* Readable when there is something to do, also because a time has passed. */
int dx_rendezvous_fd(const struct dx_rendezvous *r);

/* Does some of what there is to do; never blocks, and takes a bounded time. */
void dx_rendezvous_step(struct dx_rendezvous *r);

/* Ends all connections and removes the name, if it is still ours. r may be NULL. */
void dx_rendezvous_close(struct dx_rendezvous *r);

/* In the child of a fork: closes what the child has of it. Afterwards dx_rendezvous_close frees it
 * and leaves the name alone. r may be NULL. */
void dx_rendezvous_forked(struct dx_rendezvous *r);

#endif
