/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "top.h"
#include "units.h"

const char top_head[] =
    " SIDE  STATE      PID BEAT CALLS SERVED   ERR SPIN YIELD PARK  PARKS  RINGS ASLP";
const char top_slot_head[] =
    "  SLOT SIDE  CALLER       SERVER       SEQUENCE   CALLS   ERR SPIN YIELD PARK";

_Static_assert(sizeof top_head - 1 <= TOP_COLUMNS && sizeof top_slot_head - 1 <= TOP_COLUMNS,
               "the heads fit");

static struct top_line *add(struct top_lines *lines, enum top_style style, size_t region)
{
    struct top_line *more = realloc(lines->items, (lines->count + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    lines->items = more;
    more[lines->count] = (struct top_line){.style = style, .region = region};
    return &more[lines->count++];
}

/* A share of all waits as "99%"; "-" if there was none. */
static const char *share(char text[UNITS_BYTES], double part, const struct top_rates *r)
{
    double all = r->spin + r->yield + r->park;
    if (all > 0)
        (void)snprintf(text, UNITS_BYTES, "%.0f%%", 100 * part / all);
    else
        (void)snprintf(text, UNITS_BYTES, "-");
    return text;
}

static bool is_bad(const char *state)
{
    return strcmp(state, "dead") == 0;
}

/* As many states as "initialising" are too long for the column. */
static const char *short_state(const char *state)
{
    return strcmp(state, "initialising") == 0 ? "init" : state;
}

static bool add_side(struct top_lines *lines, const struct top_side *s, const char *name,
                     size_t region)
{
    char t[10][UNITS_BYTES];
    char pid[UNITS_BYTES];
    const struct top_rates *r = &s->rates;
    enum top_style style = is_bad(s->state)           ? TOP_DEAD
                           : r->calls + r->serves > 0 ? TOP_BUSY
                                                      : TOP_PLAIN;
    struct top_line *line = add(lines, style, region);
    if (line == NULL)
        return false;
    /* Linux has seven digits at most, but what a peer says of itself may have more. */
    (void)snprintf(pid, sizeof pid, "%" PRIu32, s->pid);
    (void)snprintf(line->text, sizeof line->text,
                   " %-5s %-6.6s %7.7s %4.4s %5.5s %6.6s %5.5s %4.4s %5.5s %4.4s %6.6s "
                   "%6.6s %4.4s",
                   name, short_state(s->state), pid, units_rate(t[0], s->beats),
                   units_rate(t[1], r->calls), units_rate(t[2], r->serves),
                   units_rate(t[3], r->errors), share(t[4], r->spin, r), share(t[5], r->yield, r),
                   share(t[6], r->park, r), units_rate(t[7], r->parks), units_rate(t[8], r->rings),
                   units_rate(t[9], r->asleep));
    return true;
}

/* What histograms say of a side, if they say anything. */
static bool add_latencies(struct top_lines *lines, const struct top_side *s, size_t region)
{
    char text[TOP_COLUMNS + 1] = "";
    size_t used = 0;
    for (int kind = 0; kind < LATENCY_KINDS; kind++) {
        const struct latency *l = &s->latencies[kind];
        if (l->count == 0 || used >= sizeof text)
            continue;
        char t[2][UNITS_BYTES];
        used += (size_t)snprintf(text + used, sizeof text - used, "  %s p50 %s p99 %s",
                                 latency_name((enum latency_kind)kind), units_time(t[0], l->p50_ns),
                                 units_time(t[1], l->p99_ns));
    }
    if (used == 0)
        return true;
    struct top_line *line = add(lines, TOP_PLAIN, region);
    if (line != NULL)
        (void)snprintf(line->text, sizeof line->text, "%s", text);
    return line != NULL;
}

static bool add_slots(struct top_lines *lines, const struct top_region *r, uint32_t place,
                      size_t region)
{
    struct top_line *head = add(lines, TOP_HEAD, region);
    struct top_slot s;
    if (head == NULL)
        return false;
    (void)snprintf(head->text, sizeof head->text, "%s", top_slot_head);
    for (uint32_t i = 0; top_slot(r, place, i, &s); i++) {
        char t[5][UNITS_BYTES];
        struct top_line *line = add(lines, s.rates.calls > 0 ? TOP_BUSY : TOP_PLAIN, region);
        if (line == NULL)
            return false;
        (void)snprintf(line->text, sizeof line->text,
                       "  %4" PRIu32 " %-5s %-12s %-12s %8" PRIu32
                       "  %6.6s %5.5s %4.4s %5.5s %4.4s",
                       s.slot, s.side == DX_HOST ? "host" : "guest", s.caller, s.server, s.sequence,
                       units_rate(t[0], s.rates.calls), units_rate(t[1], s.rates.errors),
                       share(t[2], s.rates.spin, &s.rates), share(t[3], s.rates.yield, &s.rates),
                       share(t[4], s.rates.park, &s.rates));
    }
    return true;
}

static bool add_place(struct top_lines *lines, const struct top_region *r, uint32_t place,
                      size_t region, bool slots)
{
    struct top_place p;
    top_place(r, place, &p);
    const struct dx_geometry *g = &p.now->geometry;
    char url[160];
    char size[UNITS_BYTES];
    struct top_line *line = add(lines, TOP_REGION, region);
    if (line == NULL)
        return false;
    units_copy_ascii(url, sizeof url, r->url);
    int used =
        snprintf(line->text, sizeof line->text, "%s  %s", url, units_bytes(size, g->region_bytes));
    if (g->places > 1)
        used += snprintf(line->text + used, sizeof line->text - (size_t)used,
                         ", place %" PRIu32 " of %" PRIu32, place, g->places);
    (void)snprintf(line->text + used, sizeof line->text - (size_t)used,
                   ", slots %" PRIu32 "+%" PRIu32, g->host_slots, g->guest_slots);
    return add_side(lines, &p.sides[DX_HOST], "host", region) &&
           add_latencies(lines, &p.sides[DX_HOST], region) &&
           add_side(lines, &p.sides[DX_GUEST], "guest", region) &&
           add_latencies(lines, &p.sides[DX_GUEST], region) &&
           (!slots || add_slots(lines, r, place, region));
}

static bool add_problem(struct top_lines *lines, const struct top_region *r, size_t region)
{
    char url[96];
    char problem[140];
    struct top_line *line = add(lines, TOP_DEAD, region);
    if (line == NULL)
        return false;
    units_copy_ascii(url, sizeof url, r->url);
    units_copy_ascii(problem, sizeof problem, r->problem);
    (void)snprintf(line->text, sizeof line->text, "%s  (%s)", url, problem);
    return true;
}

bool top_lines_make(const struct top *t, size_t slots_of, struct top_lines *out)
{
    bool done = true;
    *out = (struct top_lines){.items = NULL};
    for (size_t i = 0; i < t->count && done; i++) {
        const struct top_region *r = t->regions[i];
        if (!r->open) {
            done = add_problem(out, r, i);
            continue;
        }
        bool slots = slots_of == SIZE_MAX || slots_of == i;
        for (uint32_t place = 0; place < r->look.places && done; place++)
            done = add_place(out, r, place, i, slots);
    }
    if (!done)
        top_lines_free(out);
    return done;
}

void top_lines_free(struct top_lines *lines)
{
    free(lines->items);
    *lines = (struct top_lines){.items = NULL};
}
