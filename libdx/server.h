/* SPDX-License-Identifier: Apache-2.0 */
/* Serving in steps, by a thread that has entered the servers. */
#ifndef DX_SERVER_PRIVATE_H
#define DX_SERVER_PRIVATE_H

#include "dx_server.h"
#include "serve.h"

/* A thread that has entered servers, and is in a handler of one of them, perhaps. */
struct dx_entries {
    struct dx_server *const *servers;
    uint32_t count;
    struct dx_server *in; /* NULL: in no handler */
};

/* DX_ERR_BUSY if another thread, or this one further up, is in one of them. */
dx_status dx_entries_begin(struct dx_entries *entries, struct dx_server *const *servers,
                           uint32_t count);

/* Does the work, and leaves the servers also if a handler leaves otherwise than by its return. */
dx_status dx_entries_work(struct dx_entries *entries,
                          dx_status (*work)(struct dx_entries *entries, void *user), void *user);

/* Says why serving has ended, for ever. */
dx_status dx_server_over(struct dx_server *server, dx_status status);

/* Makes the server's notifier, if it has none. */
dx_status dx_server_notify(struct dx_server *server);

#endif
