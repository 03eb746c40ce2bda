/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "top.h"

/* A host that begins anew begins to count at 0, too. */
static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static void add_rates(struct top_rates *r, const struct dx_stats *now,
                      const struct dx_stats *before, double seconds)
{
    r->errors += rate(now->errors, before->errors, seconds);
    r->timeouts += rate(now->timeouts, before->timeouts, seconds);
    r->spin += rate(now->spin, before->spin, seconds);
    r->yield += rate(now->yield, before->yield, seconds);
    r->park += rate(now->park, before->park, seconds);
    r->parks += rate(now->parks, before->parks, seconds);
    r->rings += rate(now->rings, before->rings, seconds);
    r->asleep += rate(now->park_ns, before->park_ns, seconds) / 1e9;
}

void top_place(const struct top_region *r, uint32_t place, struct top_place *out)
{
    static const enum dx_stats_of callers[] = {DX_STATS_HOST_CALLERS, DX_STATS_GUEST_CALLERS};
    static const enum dx_stats_of servers[] = {DX_STATS_HOST_SERVERS, DX_STATS_GUEST_SERVERS};
    const struct report *now = &r->now[place];
    const struct report *before = r->looks > 1 ? &r->before[place] : now;
    memset(out, 0, sizeof *out);
    out->now = now;
    for (size_t side = 0; side < REPORT_SIDES; side++) {
        struct top_side *s = &out->sides[side];
        s->state = now->peers[side].state;
        s->pid = now->peers[side].pid;
        s->beats = rate(now->peers[side].beats, before->peers[side].beats, r->seconds);
        const struct dx_stats *calls[] = {&now->stats[callers[side]],
                                          &before->stats[callers[side]]};
        const struct dx_stats *serves[] = {&now->stats[servers[side]],
                                           &before->stats[servers[side]]};
        s->rates.calls = rate(calls[0]->calls, calls[1]->calls, r->seconds);
        s->rates.serves = rate(serves[0]->calls, serves[1]->calls, r->seconds);
        add_rates(&s->rates, calls[0], calls[1], r->seconds);
        add_rates(&s->rates, serves[0], serves[1], r->seconds);
        struct dx_channel *c = r->open && place < r->look.places ? r->look.observers[place] : NULL;
        for (int kind = 0; c != NULL && kind < LATENCY_KINDS; kind++)
            s->latencies[kind] = latency_read(c, (enum dx_side)side, (enum latency_kind)kind);
    }
}

static const char *caller_state(uint64_t word)
{
    static const char *const names[] = {"-",       "initialising", "ready",
                                        "sending", "completed",    "abandoned"};
    uint64_t state = word >> DX_WORD_STATE_SHIFT & DX_WORD_STATE_MASK;
    return state < sizeof names / sizeof *names ? names[state] : "unknown";
}

static const char *server_state(uint64_t word)
{
    static const char *const names[] = {"-", "waiting", "ready", "processing", "acknowledged"};
    uint64_t state = word >> DX_WORD_STATE_SHIFT & DX_WORD_STATE_MASK;
    return state < sizeof names / sizeof *names ? names[state] : "unknown";
}

bool top_slot(const struct top_region *r, uint32_t place, uint32_t slot, struct top_slot *out)
{
    memset(out, 0, sizeof *out);
    if (!r->open || place >= r->look.places || r->slots_now == NULL)
        return false;
    const struct dx_channel *c = r->look.observers[place];
    if (slot >= c->geometry.slots)
        return false;
    size_t at = place * (size_t)r->look.observers[0]->geometry.slots + slot;
    const struct dx_stats *now = &r->slots_now[at];
    const struct dx_stats *before = r->slots_before != NULL ? &r->slots_before[at] : now;
    /* Relaxed, both: for people. */
    uint64_t word = dx_load_relaxed(&c->caller_lines[slot].word);
    out->server = server_state(dx_load_relaxed(&c->server_lines[slot].word));
    out->caller = caller_state(word);
    out->slot = slot;
    out->side = slot < c->geometry.host_slots ? DX_HOST : DX_GUEST;
    out->sequence = (uint32_t)word;
    out->rates.calls = rate(now->calls, before->calls, r->seconds);
    add_rates(&out->rates, now, before, r->seconds);
    return true;
}

const char *top_order_name(enum top_order order)
{
    static const char *const names[TOP_ORDERS] = {"rate", "errors", "parks", "url"};
    return names[order];
}

/* What a region is sorted by: the sum of its places and sides. */
static double weight(const struct top_region *r, enum top_order order)
{
    double sum = 0;
    for (uint32_t i = 0; r->open && i < r->look.places; i++) {
        struct top_place p;
        top_place(r, i, &p);
        for (size_t side = 0; side < REPORT_SIDES; side++) {
            const struct top_rates *rates = &p.sides[side].rates;
            sum += order == TOP_BY_RATE     ? rates->calls
                   : order == TOP_BY_ERRORS ? rates->errors
                   : order == TOP_BY_PARKS  ? rates->parks
                                            : 0;
        }
    }
    return sum;
}

struct weighed {
    struct top_region *region;
    double weight;
};

static int heavier_first(const void *a, const void *b)
{
    const struct weighed *x = a;
    const struct weighed *y = b;
    if (x->weight > y->weight || x->weight < y->weight)
        return x->weight < y->weight ? 1 : -1;
    int order = strcmp(x->region->url, y->region->url);
    return order != 0
               ? order
               : (x->region->inode > y->region->inode) - (x->region->inode < y->region->inode);
}

void top_sort(struct top *t)
{
    struct weighed *all = t->count > 1 ? malloc(t->count * sizeof *all) : NULL;
    for (size_t i = 0; all != NULL && i < t->count; i++)
        all[i] = (struct weighed){t->regions[i], weight(t->regions[i], t->order)};
    if (all != NULL)
        qsort(all, t->count, sizeof *all, heavier_first);
    for (size_t i = 0; all != NULL && i < t->count; i++)
        t->regions[i] = all[i].region;
    free(all);
}
