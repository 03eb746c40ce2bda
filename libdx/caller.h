/* SPDX-License-Identifier: Apache-2.0 */
/* A caller: its slot's pointers at hand, and what it knows of the slot. */
#ifndef DX_CALLER_PRIVATE_H
#define DX_CALLER_PRIVATE_H

#include "channel.h"
#include "dx_caller.h"

struct dx_caller {
    struct dx_caller_line *line;
    struct dx_server_line *server;
    struct dx_cell *cells;
    uint32_t cell_count;
    uint64_t awaited;  /* the server's word that ends the wait of now */
    uint32_t sequence; /* of the latest request */
    bool ready;        /* a request may be sent at once: the server has seen our epoch and has
                          answered what was sent before */
    struct dx_slot_book book;
    uint32_t epoch;
    uint32_t slot;
    struct dx_waiter waiter;
    struct dx_reply reply;
    struct dx_channel *channel;
};

#endif
