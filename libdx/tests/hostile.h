/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that writes into a region what it likes while others use it: into what its side may write,
 * or into everything. It works in bursts: most are undone and mended, because a region in which
 * nothing works any more has no more code to offer; between bursts it lets some traffic pass.
 */
#ifndef DX_TEST_HOSTILE_H
#define DX_TEST_HOSTILE_H

#include <sched.h>

#include "atomic.h"
#include "channel.h"
#include "clock.h"
#include "dice.h"
#include "slot.h"
#include "stream.h"
#include "traffic.h"
#include "wait_cell.h"

#define SCRIBBLER_SLOTS 8u
#define SCRIBBLER_BURST 48u
#define SCRIBBLER_STORM 20000u
#define SCRIBBLER_FLICKERS 20000u
#define SCRIBBLER_PAUSE_NS 3000000ll

/* How the attacked and the attacker speak: a page that is not attacked. */
struct scribbler_page {
    uint64_t seed;
    uint32_t everything;       /* not just what the attacker's side may write */
    uint32_t semaphores;       /* always asks to be rung by semaphore */
    _Atomic uint64_t progress; /* calls that the attacked has ended, requests that it has served */
    _Atomic uint64_t writes;   /* of the attacker */
    _Atomic uint64_t mended;   /* its bursts that were undone */
    /* What the attacked awaits in a slot whose latest call failed; 0: none did. Without it, slots
     * whose greeting or answer was overwritten would be of no use for the rest of the life. */
    _Atomic uint64_t awaited[SCRIBBLER_SLOTS];
};

struct scribble {
    size_t offset;
    uint64_t before;
};

struct scribbler {
    unsigned char *base; /* a mapping of its own */
    const struct dx_geometry *g;
    enum dx_side side;
    struct scribbler_page *page;
    struct dice dice;
    uint64_t number; /* of the latest request */
    struct scribble done[SCRIBBLER_BURST];
    size_t done_count;
};

static inline _Atomic uint64_t *scribbler_word(const struct scribbler *s, size_t offset)
{
    return (_Atomic uint64_t *)(void *)(s->base + offset);
}

/* A slot on which this side calls; any slot if there is none. */
static inline uint32_t scribbler_slot(struct scribbler *s, enum dx_side side)
{
    uint32_t count = dx_slot_count(s->g, side);
    return count != 0 ? dx_first_slot(s->g, side) + (uint32_t)dice_below(&s->dice, count)
                      : (uint32_t)dice_below(&s->dice, s->g->slots);
}

static inline size_t scribbler_cell(struct scribbler *s, enum dx_side side)
{
    uint32_t cell = dice_below(&s->dice, 2) != 0
                        ? scribbler_slot(s, side)
                        : dx_cell_of_worker(s->g->slots, side, (uint32_t)dice_below(&s->dice, 17));
    return s->g->cells_offset + cell * sizeof(struct dx_cell);
}

/* In the request of a slot on which this side calls, or in the response of another. */
static inline size_t scribbler_payload(struct scribbler *s, enum dx_side side)
{
    const struct dx_geometry *g = s->g;
    uint32_t slot = (uint32_t)dice_below(&s->dice, g->slots);
    uint32_t index = slot - dx_first_slot(g, side);
    bool calls = index < dx_slot_count(g, side);
    size_t from = calls ? 0 : g->response_offset;
    size_t bytes = (calls ? g->response_offset : g->payload_stride) - from;
    return g->payload_offset + slot * g->payload_stride + from +
           dice_below(&s->dice, bytes / 8) * 8;
}

/* A place, 8 bytes of which this side may write those in *mask. */
static inline size_t scribbler_place(struct scribbler *s, enum dx_side side, uint64_t *mask)
{
    struct dice *d = &s->dice;
    const struct dx_geometry *g = s->g;
    enum dx_side other = dx_other(side);
    switch (dice_below(d, 9)) {
    case 0:
        if (side == DX_HOST)
            return dice_below(d, sizeof(struct dx_header) / 8) * 8;
        /* fallthrough */
    case 1:
        return sizeof(struct dx_header) + (size_t)side * sizeof(struct dx_peer_lines) +
               dice_below(d, 3) * 8;
    case 2:
        return g->callers_offset + scribbler_slot(s, side) * sizeof(struct dx_caller_line) +
               dice_below(d, 5) * 8;
    case 3:
        return g->servers_offset + scribbler_slot(s, other) * sizeof(struct dx_server_line) +
               dice_below(d, 5) * 8;
    case 4:
        return g->counters_offset + scribbler_slot(s, side) * sizeof(struct dx_counters) +
               dice_below(d, sizeof(struct dx_counters) / 8) * 8;
    case 5:
        return g->workers_offset +
               ((size_t)side * DX_SERVE_THREADS_MAX + dice_below(d, 2)) * sizeof(struct dx_worker) +
               dice_below(d, sizeof(struct dx_worker) / 8) * 8;
    case 6:
        return scribbler_cell(s, side) + dice_below(d, sizeof(struct dx_cell) / 8) * 8;
    case 7: { /* who rings writes rings, but not the armed word before it, and the semaphore */
        size_t word = dice_below(d, sizeof(struct dx_cell) / 8) * 8;
        *mask = word == 0 ? (uint64_t)UINT32_MAX << 32 : UINT64_MAX;
        return scribbler_cell(s, other) + word;
    }
    default:
        return scribbler_payload(s, side);
    }
}

/* A word that a slot may have, or nearly so. */
static inline uint64_t scribbler_word_value(struct scribbler *s)
{
    struct dice *d = &s->dice;
    uint32_t slot = (uint32_t)dice_below(d, s->g->slots);
    /* Relaxed: any value will do. */
    uint64_t word =
        dx_load_relaxed(scribbler_word(s, s->g->callers_offset + slot * (size_t)DX_LINE));
    uint32_t epoch = dx_word_epoch(word) + (dice_below(d, 4) == 0);
    uint32_t sequence = dx_word_sequence(word) + (uint32_t)dice_below(d, 3) - 1;
    return dx_word(epoch, (uint32_t)dice_below(d, 7), sequence);
}

static inline uint64_t scribbler_value(struct scribbler *s, uint64_t before)
{
    struct dice *d = &s->dice;
    const struct dx_geometry *g = s->g;
    const uint64_t sizes[] = {g->slots,
                              g->cells,
                              g->request_capacity,
                              g->region_bytes,
                              g->payload_stride,
                              g->response_capacity,
                              DX_SERVE_THREADS_MAX};
    uint32_t kind = s->page->semaphores != 0 ? (uint32_t)DX_PARK_SEM : (uint32_t)dice_below(d, 8);
    switch (dice_below(d, 9)) {
    case 0:
        return dice_roll(d);
    case 1:
        return dice_edge(d);
    case 2: /* two fields at once */
        return dice_edge(d) << 32 | (uint32_t)dice_edge(d);
    case 3:
        return sizes[dice_below(d, sizeof sizes / sizeof *sizes)] + dice_below(d, 3) - 1;
    case 4: /* a cell that asks for a ring */
        return (before >> 32 & ~15ull) | kind << 1 | 1u | (before >> 32) << 32;
    case 5: /* one bit */
        return before ^ 1ull << dice_below(d, 64);
    case 7: /* a stream's progress, nearly so */
        return before + dice_below(d, 2 * TRAFFIC_CAPACITY) - TRAFFIC_CAPACITY;
    case 6: /* what stands elsewhere. Relaxed: any value will do. */
        return dx_load_relaxed(scribbler_word(s, dice_below(d, g->payload_offset / 8) * 8));
    default:
        return scribbler_word_value(s);
    }
}

static inline void scribbler_write(struct scribbler *s)
{
    enum dx_side side = s->side;
    if (s->page->everything != 0 && dice_below(&s->dice, 2) != 0)
        side = dx_other(side);
    uint64_t mask = UINT64_MAX;
    size_t offset = scribbler_place(s, side, &mask);
    /* Relaxed: nothing is announced by what is written here. */
    uint64_t before = dx_load_relaxed(scribbler_word(s, offset));
    uint64_t value = scribbler_value(s, before);
    if (mask == UINT64_MAX && dice_below(&s->dice, 3) != 0) /* one of two fields of 32 bits */
        mask = dice_below(&s->dice, 2) != 0 ? UINT32_MAX : ~(uint64_t)UINT32_MAX;
    dx_store_relaxed(scribbler_word(s, offset), (before & ~mask) | (value & mask));
    if (s->done_count < SCRIBBLER_BURST)
        s->done[s->done_count++] = (struct scribble){offset, before};
    (void)dx_add_relaxed(&s->page->writes, 1u); /* Relaxed: a count. */
}

static inline void scribbler_undo(struct scribbler *s)
{
    while (s->done_count > 0) {
        struct scribble done = s->done[--s->done_count];
        /* Relaxed: as before. */
        dx_store_relaxed(scribbler_word(s, done.offset), done.before);
    }
}

/* Lets both sides go on: says that all is open, and lets go of callers whose wait cannot end. */
static inline void scribbler_mend(struct scribbler *s)
{
    struct dx_channel c = {.region = {.base = s->base}, .geometry = *s->g};
    dx_channel_point(&c);
    for (int side = DX_HOST; side <= DX_GUEST; side++) {
        if (s->page->everything == 0 && (enum dx_side)side != s->side)
            continue;
        struct dx_peer_lines *peer = &c.peers[side];
        /* Relaxed: as before. */
        dx_store_relaxed(&peer->state, (uint32_t)DX_PEER_STATE_OPEN);
        dx_store_relaxed(&peer->slots_used, dx_slot_count(s->g, (enum dx_side)side));
    }
    for (uint32_t slot = 0; slot < s->g->slots; slot++) {
        uint64_t awaited = dx_load_relaxed(&s->page->awaited[slot]);
        if (awaited != 0)
            dx_store_relaxed(&c.server_lines[slot].word, awaited);
    }
    if (s->side == DX_HOST || s->page->everything != 0) {
        dx_header_write(c.header, s->g);
        dx_store_relaxed(&c.header->magic, DX_MAGIC);
    }
    (void)dx_add_relaxed(&s->page->mended, 1u); /* Relaxed: a count. */
}

/* Of every fourth request: it is a stream, half of which is there at once. The next request on its
 * slot gives it up; what comes back is never taken. */
static inline void scribbler_stream(struct dx_caller_line *line, const struct dx_geometry *g,
                                    size_t bytes)
{
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&line->request_bytes, (uint32_t)g->request_capacity);
    dx_store_relaxed(&line->response_ring, (uint32_t)g->response_capacity);
    dx_store_relaxed(&line->taken, 0u);
    dx_store_relaxed(&line->sent, (uint64_t)bytes / 2);
    dx_store_relaxed(&line->type, TRAFFIC_TYPE | DX_TYPE_STREAM);
}

/* Sends a request as it should be, so that there is something to serve. */
static inline void scribbler_request(struct scribbler *s)
{
    struct dx_channel c = {.region = {.base = s->base}, .geometry = *s->g};
    dx_channel_point(&c);
    uint32_t slot = scribbler_slot(s, s->side);
    struct dx_caller_line *line = &c.caller_lines[slot];
    size_t bytes = traffic_request(++s->number, dx_request_at(&c, slot));
    /* Relaxed: the word publishes them. */
    dx_store_relaxed(&line->request_bytes, (uint32_t)bytes);
    dx_store_relaxed(&line->type, TRAFFIC_TYPE);
    bool stream = s->number % 4 == 0;
    if (stream)
        scribbler_stream(line, s->g, bytes);
    uint32_t epoch = dx_load_relaxed(&c.peers[s->side].epoch);
    dx_caller_publish(line, dx_word(epoch, DX_CALLER_SENDING, (uint32_t)s->number));
    if (stream)
        dx_store_release(&line->sent, bytes | (s->number % 8 == 0 ? DX_STREAM_END : 0));
    uint32_t cell = dx_load_seqcst(&c.server_lines[slot].cell);
    if (cell - 1 < s->g->cells)
        (void)dx_cell_ring(&c.cells[cell - 1]);
}

/* Lets the attacked make a few calls, or some time pass if it cannot. */
static inline void scribbler_pause(struct scribbler *s)
{
    uint64_t until = dx_load_relaxed(&s->page->progress) + 24; /* Relaxed: a count. */
    int64_t deadline = dx_clock_ns() + SCRIBBLER_PAUSE_NS;
    while (dx_load_relaxed(&s->page->progress) < until && dx_clock_ns() < deadline) {
        scribbler_request(s);
        (void)sched_yield();
    }
}

/* One burst. */
static inline void scribble(struct scribbler *s)
{
    uint64_t writes = 1 + dice_below(&s->dice, SCRIBBLER_BURST);
    if (dice_below(&s->dice, 32) == 0)
        writes = SCRIBBLER_STORM;
    while (writes-- > 0)
        scribbler_write(s);
    if (dice_below(&s->dice, 8) != 0) {
        scribbler_undo(s);
        scribbler_mend(s);
    }
    s->done_count = 0;
    scribbler_pause(s);
}

/* A length, a type, the number of a cell or half a stream's progress word that changes all the
 * time: for whoever reads it twice. Lengths most of all. */
static inline void scribbler_flicker(struct scribbler *s)
{
    struct dice *d = &s->dice;
    bool of_caller = dice_below(d, 2) != 0;
    uint32_t slot = scribbler_slot(s, of_caller ? s->side : dx_other(s->side));
    size_t field = dice_below(d, 2) != 0 ? 0 : dice_below(d, 8);
    size_t offset = (of_caller ? s->g->callers_offset : s->g->servers_offset) +
                    slot * (size_t)DX_LINE + sizeof(uint64_t) + field * sizeof(uint32_t);
    _Atomic uint32_t *place = (_Atomic uint32_t *)(void *)(s->base + offset);
    /* Relaxed: nothing is announced by it. */
    uint32_t before = dx_load_relaxed(place);
    uint32_t value = field != 0 ? (uint32_t)scribbler_value(s, before) : TRAFFIC_CAPACITY + 1;
    for (unsigned i = 0; i < SCRIBBLER_FLICKERS; i++)
        dx_store_relaxed(place, i % 2 != 0 ? before : value);
    (void)dx_add_relaxed(&s->page->writes, SCRIBBLER_FLICKERS); /* Relaxed: a count. */
}

#endif
