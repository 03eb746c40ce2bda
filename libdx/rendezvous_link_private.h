/* SPDX-License-Identifier: Apache-2.0 */
/* A link, for the files that make and run it. */
#ifndef DX_RENDEZVOUS_LINK_PRIVATE_H
#define DX_RENDEZVOUS_LINK_PRIVATE_H

#include "doorbell_set.h"
#include "ivshmem_vfio.h"
#include "rendezvous_link.h"
#include "rendezvous_link_users.h"
#include "rendezvous_wire.h"

struct dx_link {
    struct dx_rendezvous *server; /* NULL for a client */
    int socket;                   /* -1 for the server */
    struct dx_ivshmem_reader reader;
    _Atomic uint64_t messages; /* that were heard; whose thread hears, counts */
    uint32_t id;
    int bell;    /* our own eventfd */
    int memory;  /* what the server gives away; -1 for a client */
    int control; /* wakes the thread for changes of what follows */
    _Atomic uint32_t closing;
    _Atomic uint32_t taken; /* somebody else reads the bell */
    bool started;
    bool sole; /* the sleepers of the one channel read the bell; set before the thread starts */
    pthread_t thread;
    struct dx_link_users users;
    struct dx_doorbells peers;
    struct dx_ivshmem_bells device; /* of a guest in a VM, in place of the socket */
    bool has_device;
};

/* One that knows nobody; NULL: no memory or no descriptor. */
struct dx_link *dx_link_new(void);

/* What dx_link_join does once link->socket is connected; path is for messages. *memory is -1 on
 * failure. */
dx_status dx_link_be_greeted(struct dx_link *link, const char *path, int64_t by_ns, int *memory);

enum dx_link_heard {
    DX_LINK_HEARD, /* what there is, or some of it */
    DX_LINK_END,
    DX_LINK_NO_ROOM,   /* the next message waits for a free descriptor, or for memory */
    DX_LINK_NO_SOCKET, /* our socket is closed */
};

/* Hears some of what the rendezvous has to say; never blocks. */
enum dx_link_heard dx_link_hear_news(struct dx_link *link);

void dx_link_peer_left(struct dx_link *link, int64_t id);

/* The thread of a link; user is the link. */
void *dx_link_run(void *user);

#endif
