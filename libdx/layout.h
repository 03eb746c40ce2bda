/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a region. docs/protocol.md is the contract; the asserts below keep this file equal
 * to it. Little-endian, offsets instead of pointers, each field with one writer.
 *
 *   header 128 | peers 30 x 128 | switches 128 | caller lines | server lines | counters | workers |
 *   cells | payload
 *
 * Behind all places of the memory may be room for histograms, of which nothing is reserved before
 * they are switched on: see histogram.h.
 *
 * Lines of callers lie together, and so do lines of servers. So no line shares a cache line, or the
 * pair of lines that a prefetcher fetches, with a line that the other side writes.
 */
#ifndef DX_LAYOUT_H
#define DX_LAYOUT_H

#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dx_channel.h"
#include "dx_protocol.h"
#include "dx_serve.h"
#include "dx_status.h"

#define DX_LINE 64u
#define DX_MAGIC 0x314c454e48435844ull /* "DXCHNEL1" */
/* In place of the magic while a host rebuilds a region that a dead one left. */
#define DX_MAGIC_REBUILDING 0x305f454e48435844ull /* "DXCHNE_0" */
#define DX_PROTOCOL_MAJOR 1u
#define DX_PROTOCOL_MINOR 4u
#define DX_PROTOCOL_VERSION ((DX_PROTOCOL_MAJOR << 16) | DX_PROTOCOL_MINOR)
#define DX_PEERS 30u /* room for as many; a region has one host and one guest */
#define DX_HEADER_BYTES 4096u
/* A mapping begins at a page, and no Linux has larger ones by default than 64 KiB. */
#define DX_PLACE_ALIGNMENT 65536u

/* A peer's place in the header, and a channel's own side. */
enum dx_side { DX_HOST = 0, DX_GUEST = 1 };

enum dx_peer_state {
    DX_PEER_STATE_NONE = 0,
    DX_PEER_STATE_INITIALIZING = 1,
    DX_PEER_STATE_OPEN = 2,
    DX_PEER_STATE_CLOSED = 3,
};

/* Written by the host before the magic; constant for as long as the host lives. */
struct dx_header {
    _Atomic uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint64_t region_bytes;
    uint32_t guests;
    uint32_t host_slots;
    uint32_t guest_slots;
    uint32_t request_capacity;
    uint32_t response_capacity;
    uint32_t workers;
    uint32_t sem_bytes; /* sizeof(sem_t) of the host's C library */
    uint32_t places;    /* regions of this size in the memory, each at a multiple of 64 KiB; 0: 1 */
    uint32_t place;     /* which of them this is */
    uint32_t histograms; /* of this place: where they begin in the memory, / 64 KiB; 0: no room */
    uint64_t callers_offset;
    uint64_t servers_offset;
    uint64_t counters_offset;
    uint64_t workers_offset;
    uint64_t cells_offset;
    uint64_t payload_offset;
    uint64_t payload_stride;
    uint64_t response_offset; /* within a slot's payload */
};

/* Written by that peer alone. */
struct dx_peer_lines {
    _Atomic uint64_t session;    /* random, new for every life */
    _Atomic uint32_t epoch;      /* 24 bits: the epoch in the words of its callers */
    _Atomic uint32_t state;      /* enum dx_peer_state */
    _Atomic uint32_t slots_used; /* servers need not look beyond this many of its slots */
    uint32_t pid;
    _Atomic uint32_t
        doorbell_id;       /* 1 + the peer's id at a rendezvous, by which it is rung; 0: none */
    _Atomic uint32_t park; /* how it parks now: enum dx_park; for people */
    _Atomic uint64_t
        kernel; /* which kernel it runs under: see liveness_kernel.h; 0: does not say */
    uint64_t padding0[3];
    _Atomic uint64_t
        heartbeat; /* advances for as long as the peer lives: see liveness_heartbeat.h */
    uint64_t padding1[7];
};

/* Written by people, through dx_histogram_switch. */
struct dx_switches {
    _Atomic uint64_t histograms; /* generation << 32 | one call in so many is measured; 0: none */
    uint64_t padding[15];
};

/* Written by the side that calls on this slot. */
struct dx_caller_line {
    _Atomic uint64_t word; /* epoch, state, sequence: see slot.h */
    _Atomic uint32_t request_bytes;
    _Atomic uint32_t type;
    _Atomic uint32_t parked; /* 0, or 1 + the cell to ring when the response is there */
    /* Of streams only: see stream.h. */
    _Atomic uint32_t response_ring;
    _Atomic uint64_t sent;  /* of the request */
    _Atomic uint64_t taken; /* of the response */
    uint32_t padding[6];
};

/* Written by the thread that serves this slot. */
struct dx_server_line {
    _Atomic uint64_t word;
    _Atomic uint32_t response_bytes;
    _Atomic int32_t status;  /* the handler's */
    _Atomic uint32_t result; /* enum dx_result, of dx_protocol.h */
    _Atomic uint32_t cell;   /* 1 + the cell to ring when a request is there, 0: nobody serves */
    /* Of streams only. */
    _Atomic uint64_t taken; /* of the request */
    _Atomic uint64_t sent;  /* of the response */
    uint32_t padding[6];
};

/* Sole writer: the caller of the slot, or the worker. Names as in struct dx_stats, which is a sum
 * of these and has room to grow. The first line is what every call touches. */
struct dx_counters {
    _Atomic uint64_t calls;
    _Atomic uint64_t request_bytes;
    _Atomic uint64_t response_bytes;
    _Atomic uint64_t looks;
    _Atomic uint64_t spin;
    _Atomic uint64_t yield;
    _Atomic uint64_t park;
    _Atomic uint64_t errors;
    _Atomic uint64_t timeouts;
    _Atomic uint64_t parks;
    _Atomic uint64_t park_ns;
    _Atomic uint64_t spurious;
    _Atomic uint64_t rings;
    _Atomic uint64_t rescued;
    _Atomic uint64_t yields;
    _Atomic uint64_t spin_limit;
};

/* One serving thread: its journal and its counters. */
struct dx_worker {
    _Atomic uint64_t serving; /* latest request whose handler was entered: epoch (16 bits) << 48 |
                                 (slot + 1) << 32 | sequence; 0: none yet */
    uint64_t padding[7];
    struct dx_counters counters;
};

/* Where somebody sleeps: see cell.h. */
struct dx_cell {
    _Atomic uint32_t armed;   /* writer: the sleeper */
    _Atomic uint32_t rings;   /* writers: those who ring; also the futex word */
    _Atomic uint64_t rung_ns; /* when it was rung last, while wake-ups are measured */
    union {
        sem_t sem;
        uint64_t room[4];
    };
    uint64_t padding1[2];
};

_Static_assert(sizeof(sem_t) <= 32, "sem_t fits its room");
_Static_assert(sizeof(struct dx_header) == 2 * DX_LINE, "header");
_Static_assert(offsetof(struct dx_header, places) == 52, "places");
_Static_assert(offsetof(struct dx_header, histograms) == 60, "histograms");
_Static_assert(offsetof(struct dx_header, callers_offset) == 64, "header line 1");
_Static_assert(sizeof(struct dx_peer_lines) == 2 * DX_LINE, "peer");
_Static_assert(offsetof(struct dx_peer_lines, doorbell_id) == 24, "peer");
_Static_assert(offsetof(struct dx_peer_lines, kernel) == 32, "peer");
_Static_assert(offsetof(struct dx_peer_lines, heartbeat) == 64, "heartbeat has its own line");
_Static_assert(sizeof(struct dx_switches) == sizeof(struct dx_peer_lines), "switches");
_Static_assert(128 + (DX_PEERS + 1) * sizeof(struct dx_peer_lines) == 4096, "header is one page");
_Static_assert(sizeof(struct dx_caller_line) == DX_LINE, "caller line");
_Static_assert(sizeof(struct dx_server_line) == DX_LINE, "server line");
_Static_assert(offsetof(struct dx_caller_line, parked) == 16, "caller line");
_Static_assert(offsetof(struct dx_caller_line, response_ring) == 20, "caller line");
_Static_assert(offsetof(struct dx_caller_line, sent) == 24, "caller line");
_Static_assert(offsetof(struct dx_caller_line, taken) == 32, "caller line");
_Static_assert(offsetof(struct dx_server_line, cell) == 20, "server line");
_Static_assert(offsetof(struct dx_server_line, taken) == 24, "server line");
_Static_assert(offsetof(struct dx_server_line, sent) == 32, "server line");
_Static_assert(sizeof(struct dx_counters) == 2 * DX_LINE, "counters");
_Static_assert(sizeof(struct dx_worker) == 3 * DX_LINE, "worker");
_Static_assert(sizeof(struct dx_cell) == DX_LINE, "cell");
_Static_assert(offsetof(struct dx_cell, rung_ns) == 8, "cell");
_Static_assert(offsetof(struct dx_cell, sem) == 16, "cell");
_Static_assert(_Alignof(struct dx_cell) == 8, "no hidden alignment");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "plain atomics");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the region is little-endian");

/* A region's sizes and offsets, derived from what the creator chose and from nothing else. */
struct dx_geometry {
    uint32_t host_slots;
    uint32_t guest_slots;
    uint32_t slots; /* both kinds */
    uint32_t cells;
    size_t request_capacity;
    size_t response_capacity;
    uint64_t callers_offset;
    uint64_t servers_offset;
    uint64_t counters_offset;
    uint64_t workers_offset;
    uint64_t cells_offset;
    uint64_t payload_offset;
    uint64_t payload_stride;
    uint64_t response_offset;
    uint64_t region_bytes;
    /* Where the region lies in its memory. dx_geometry_make sets them for place 0 of 1, with the
     * distance between places that this library uses. */
    uint64_t place_bytes; /* from the beginning of one place to that of the next */
    uint32_t places;
    uint32_t place;
    uint64_t histograms; /* as in the header */
};

/* Derives a geometry. With DX_ERR_INVALID the text names the value that is out of range. */
dx_status dx_geometry_make(uint32_t host_slots, uint32_t guest_slots, size_t request_capacity,
                           size_t response_capacity, struct dx_geometry *out);

/* Writes every constant field but the magic. */
void dx_header_write(struct dx_header *header, const struct dx_geometry *geometry);

/* Checks a header that somebody else wrote, within `bytes` mapped bytes, and derives its geometry.
 * Offsets are compared, never believed. */
dx_status dx_header_check(const struct dx_header *header, uint64_t bytes, struct dx_geometry *out);

/* Compares the sizes and the number of places. */
bool dx_geometry_equal(const struct dx_geometry *a, const struct dx_geometry *b);

/* The order of the cells: one for each slot (its caller's), then for each peer one for each worker
 * and one that its waiters share. */
static inline uint32_t dx_cell_of_worker(uint32_t slots, enum dx_side side, uint32_t worker)
{
    return slots + (uint32_t)side * (DX_SERVE_THREADS_MAX + 1u) + worker;
}

/* Returns the side that sleeps in a cell. */
static inline enum dx_side dx_cell_side(const struct dx_geometry *g, uint32_t cell)
{
    if (cell < g->slots)
        return cell < g->host_slots ? DX_HOST : DX_GUEST;
    return cell - g->slots <= DX_SERVE_THREADS_MAX ? DX_HOST : DX_GUEST;
}

static inline uint32_t dx_cell_shared(uint32_t slots, enum dx_side side)
{
    return dx_cell_of_worker(slots, side, DX_SERVE_THREADS_MAX);
}

#endif
