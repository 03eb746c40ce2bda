/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The constants of docs/protocol.md: what both sides of a region must agree on, whatever language
 * they are written in. Bindings take them from here at compile time, so that nothing is written
 * down twice. C programs need none of this.
 */
#ifndef DX_PROTOCOL_H
#define DX_PROTOCOL_H

/* Offsets and sizes within the region's structures, in bytes. */
enum dx_native_offset {
    DX_NATIVE_LINE = 64,
    DX_NATIVE_CALLER_WORD = 0,
    DX_NATIVE_CALLER_BYTES = 8,
    DX_NATIVE_CALLER_TYPE = 12,
    DX_NATIVE_CALLER_PARKED = 16,
    DX_NATIVE_CALLER_RESPONSE_RING = 20,
    DX_NATIVE_CALLER_SENT = 24,
    DX_NATIVE_CALLER_TAKEN = 32,
    DX_NATIVE_SERVER_WORD = 0,
    DX_NATIVE_SERVER_BYTES = 8,
    DX_NATIVE_SERVER_STATUS = 12,
    DX_NATIVE_SERVER_RESULT = 16,
    DX_NATIVE_SERVER_CELL = 20,
    DX_NATIVE_SERVER_TAKEN = 24,
    DX_NATIVE_SERVER_SENT = 32,
    DX_NATIVE_CELL_ARMED = 0,
    DX_NATIVE_CELL_RINGS = 4,
};

/* A slot's word: epoch << 40 | state << 32 | sequence. */
#define DX_WORD_EPOCH_SHIFT 40
#define DX_WORD_STATE_SHIFT 32
#define DX_WORD_STATE_MASK 0xffu
#define DX_EPOCH_MASK 0xffffffu

enum dx_caller_state {
    DX_CALLER_UNINITIALIZED = 0,
    DX_CALLER_INITIALIZING = 1, /* observers only: the peer line says so */
    DX_CALLER_READY = 2,        /* new epoch, nothing sent yet */
    DX_CALLER_SENDING = 3,      /* request n is there */
    DX_CALLER_COMPLETED = 4,    /* nothing in flight, nobody holds the slot */
    DX_CALLER_ABANDONED = 5,    /* request n was given up: acknowledge, do not begin it */
};

enum dx_server_state {
    DX_SERVER_UNINITIALIZED = 0,
    DX_SERVER_WAITING_HOST_INIT = 1, /* observers only: attached, caller not initialised */
    DX_SERVER_READY = 2,             /* has seen the caller's epoch */
    DX_SERVER_PROCESSING = 3,   /* of streams; else observers only: the worker's journal says so */
    DX_SERVER_ACKNOWLEDGED = 4, /* response n is there */
};

/* What the server's library says of a call. */
enum dx_result {
    DX_RESULT_OK = 0,
    DX_RESULT_TOO_LARGE = 1, /* response_bytes says how large, saturated */
    DX_RESULT_LOST = 2,
    DX_RESULT_CANCELLED = 3,
    DX_RESULT_TYPE = 4,
    DX_RESULT_REQUEST_TOO_LARGE = 5,
    DX_RESULT_CORRUPT = 6, /* a stream whose caller published what cannot be */
};

/* A worker's journal, of the request whose handler was entered last: epoch << 48 |
 * (slot + 1) << 32 | sequence. */
#define DX_JOURNAL_EPOCH_SHIFT 48
#define DX_JOURNAL_EPOCH_MASK 0xffffu
#define DX_JOURNAL_SLOT_SHIFT 32

/* In a caller's `parked`: it wants to be rung, too, when the server's word says PROCESSING. */
#define DX_PARKED_PROGRESS 0x80000000u

/* Streams: in a message type, that the request is one; in a `sent`, that no more will come. */
#define DX_TYPE_STREAM 0x10000u
#define DX_STREAM_END (1ull << 63)

/* A cell's armed word: 0, or the count of rings at the time of arming | park kind << 1 | 1. */
#define DX_CELL_ARMED 1u
#define DX_CELL_KIND_SHIFT 1
#define DX_CELL_KIND_MASK 7u
#define DX_CELL_STEP 16u /* of the count of rings */

/* After so many answers, and one fence for all of them, their callers' parked flags are looked at.
 */
#define DX_BATCH 64u

/* Longest time that a sleeper goes without looking whether its peer still lives, in ns. */
#define DX_LIVENESS_NS 20000000ll
#define DX_LIVENESS_LINK_NS 5000000ll /* where looking costs no system call */

/* The same for a serving thread that has nothing to do. Each sleep may be twice as long as the one
 * before, up to this: nobody waits for it to look. */
#define DX_IDLE_SLEEP_NS 1000000000ll

/* Waits in a row that spin as long as they may and find nothing, after which spinning is given up;
 * and the sleep before it is tried again, in lengths of such a spin. */
#define DX_WASTED_WAITS 8u
#define DX_OWED_SLEEP 8

/* A listener that is rung more often than it finds news listens slowly. The first two are how many
 * rings it hears at once: for each piece of news, and in a row. The others are the pauses between
 * two looks after that, which grow, in ns. */
#define DX_BRAKE_RINGS_EACH 4u
#define DX_BRAKE_RINGS_MAX 64u
#define DX_BRAKE_PAUSE_NS 100000
#define DX_BRAKE_PAUSE_MAX_NS 1000000

#endif
