/* SPDX-License-Identifier: Apache-2.0 */
/* dx histogram: switches the histograms of a region on and off, and shows them. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"
#include "latency.h"
#include "look.h"
#include "options.h"
#include "tool.h"
#include "units.h"

/* clang-format off */
static const char usage[] =
    "dx histogram [-every N] URL on\n"
    "dx histogram URL off\n"
    "dx histogram [-json] [-each] URL [read]\n"
    "\n"
    "Measures how long calls take, while the programs run. Switched on, each side measures:\n"
    "\n"
    "  round trip  of its calls, until the answer is found; not of streams\n"
    "  handler     from when a handler is entered until it returns\n"
    "  wake-up     from just before a sleeping thread is rung until it runs; not between a VM\n"
    "              and its host, whose clocks differ, and not of threads in event loops\n"
    "\n"
    "\"on\" begins anew. \"off\" keeps what was measured. The first \"on\" takes memory of the\n"
    "region, which it keeps until the region ends: 620 KiB and 19 KiB for each slot. All places\n"
    "of a host with several guests are switched. Percentiles are within 1.6 % of the true ones.\n"
    "\n"
    "  -every N  with on: measure one call in N of each caller, and one request in N of each\n"
    "            serving thread (default 1, all). 64 costs next to nothing\n"
    "  -each     one line for each slot and each serving thread\n"
    "  -json     JSON, with the counts of all buckets\n"
    "\n"
    "Exit codes: 0 switched or shown, 1 the region cannot be used, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx histogram -every 64 shm:demo on\n"
    "  dx histogram shm:demo\n"
    "  dx histogram -json shm:demo | jq '.places[0].host.calls.p99_ns'\n"
    "  dx histogram shm:demo off\n";
/* clang-format on */

static const char *every_text;
static bool each;
static bool json;

static const struct tool_syntax syntax = {
    .verb = "histogram",
    .usage = usage,
    .flags = {{"every", NULL, &every_text}, {"each", &each, NULL}, {"json", &json, NULL}},
};

/* As many places as the host has. */
static dx_status switch_all(const char *url, uint32_t every, uint32_t *places)
{
    struct dx_channel *observer;
    dx_status status = dx_observe(url, &observer);
    if (status != DX_OK)
        return status;
    *places = observer->geometry.places;
    for (uint32_t place = 0; place < *places && status == DX_OK; place++)
        status = dx_histogram_switch(url, place, every);
    (void)dx_close(observer);
    return status;
}

static int turn(const char *url, uint32_t every)
{
    uint32_t places = 1;
    dx_status status = switch_all(url, every, &places);
    if (status != DX_OK)
        return tool_fail(syntax.verb, status);
    units_print_text(url, stdout);
    if (every == 0)
        (void)puts(": off; what was measured is kept");
    else if (every == 1)
        (void)puts(": every call is measured from now on");
    else
        (void)printf(": one call in %" PRIu32 " is measured from now on\n", every);
    return tool_end_output(syntax.verb);
}

static void print_line(const char *what, const struct latency *l)
{
    char t[6][UNITS_BYTES];
    (void)printf("  %-22s %10" PRIu64 " %7s %7s %7s %7s %7s %7s\n", what, l->count,
                 units_time(t[0], l->mean_ns), units_time(t[1], l->p50_ns),
                 units_time(t[2], l->p90_ns), units_time(t[3], l->p99_ns),
                 units_time(t[4], l->p999_ns), units_time(t[5], l->max_ns));
}

/* What one of a kind is of: of wake-ups first slots, then threads, then the cell that all other
 * sleepers of a process share. */
static void name_one(char what[UNITS_BYTES], const struct dx_channel *c, enum dx_side side,
                     enum latency_kind kind, uint32_t index)
{
    uint32_t slots = dx_slot_count(&c->geometry, side);
    if (kind != LATENCY_HANDLERS && index < slots) {
        (void)snprintf(what, UNITS_BYTES, "  slot %" PRIu32,
                       dx_first_slot(&c->geometry, side) + index);
        return;
    }
    uint32_t thread = kind == LATENCY_WAKES ? index - slots : index;
    if (thread < DX_SERVE_THREADS_MAX)
        (void)snprintf(what, UNITS_BYTES, "  thread %" PRIu32, thread);
    else
        (void)snprintf(what, UNITS_BYTES, "  shared cell");
}

static void print_each(struct dx_channel *c, enum dx_side side, enum latency_kind kind)
{
    struct dx_histogram h;
    for (uint32_t i = 0; dx_histogram_read_one(c, latency_of(side, kind), i, &h) == DX_OK; i++) {
        char what[UNITS_BYTES];
        struct latency l = latency_make(&h);
        name_one(what, c, side, kind, i);
        if (l.count != 0)
            print_line(what, &l);
    }
}

static void print_place(struct dx_channel *c)
{
    uint32_t every = dx_histogram_every(c);
    if (c->geometry.places > 1)
        (void)printf("place %" PRIu32 ": ", c->region.place);
    if (every == 0)
        (void)puts("off");
    else
        (void)printf("on, one call in %" PRIu32 "\n", every);
    (void)printf("  %-22s %10s %7s %7s %7s %7s %7s %7s\n", "", "count", "mean", "p50", "p90", "p99",
                 "p99.9", "max");
    for (int side = DX_HOST; side <= DX_GUEST; side++) {
        for (int kind = 0; kind < LATENCY_KINDS; kind++) {
            char what[UNITS_BYTES];
            struct latency l = latency_read(c, (enum dx_side)side, (enum latency_kind)kind);
            (void)snprintf(what, sizeof what, "%s, %s", side == DX_HOST ? "host" : "guest",
                           latency_name((enum latency_kind)kind));
            print_line(what, &l);
            if (each)
                print_each(c, (enum dx_side)side, (enum latency_kind)kind);
        }
    }
}

/* Buckets as pairs of where they begin and how many times are in them. */
static void print_json(const struct dx_histogram *h)
{
    struct latency l = latency_make(h);
    const char *comma = "";
    (void)printf("{\"count\": %" PRIu64 ", \"mean_ns\": %" PRIu64 ", \"p50_ns\": %" PRIu64
                 ", \"p90_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"p99_9_ns\": %" PRIu64
                 ", \"max_ns\": %" PRIu64 ", \"sum_ns\": %" PRIu64 ", \"buckets\": [",
                 l.count, l.mean_ns, l.p50_ns, l.p90_ns, l.p99_ns, l.p999_ns, l.max_ns, h->sum_ns);
    for (uint32_t i = 0; i < DX_HISTOGRAM_BUCKETS; i++) {
        if (h->counts[i] == 0)
            continue;
        (void)printf("%s[%" PRIu64 ", %" PRIu64 "]", comma, dx_histogram_from(i), h->counts[i]);
        comma = ", ";
    }
    (void)fputs("]}", stdout);
}

static void print_json_each(struct dx_channel *c, enum dx_histogram_of of)
{
    struct dx_histogram h;
    for (uint32_t i = 0; dx_histogram_read_one(c, of, i, &h) == DX_OK; i++) {
        if (i != 0)
            (void)fputs(", ", stdout);
        print_json(&h);
    }
}

static void print_json_place(struct dx_channel *c)
{
    (void)printf("{\"place\": %" PRIu32 ", \"every\": %" PRIu32, c->region.place,
                 dx_histogram_every(c));
    for (int side = DX_HOST; side <= DX_GUEST; side++) {
        (void)printf(", \"%s\": {", side == DX_HOST ? "host" : "guest");
        for (int kind = 0; kind < LATENCY_KINDS; kind++) {
            enum dx_histogram_of of = latency_of((enum dx_side)side, (enum latency_kind)kind);
            struct dx_histogram h;
            (void)dx_histogram_read(c, of, &h);
            (void)printf("%s\"%s\": ", kind == 0 ? "" : ", ", latency_key((enum latency_kind)kind));
            print_json(&h);
            if (!each)
                continue;
            (void)printf(", \"each_of_%s\": [", latency_key((enum latency_kind)kind));
            print_json_each(c, of);
            (void)fputc(']', stdout);
        }
        (void)fputc('}', stdout);
    }
    (void)fputc('}', stdout);
}

static void print_all(const struct look *l)
{
    if (json) {
        (void)fputs("{\"url\": ", stdout);
        json_print_text(l->url, stdout);
        (void)fputs(", \"places\": [", stdout);
    } else {
        units_print_text(l->url, stdout);
        (void)fputs(l->places > 1 ? "\n" : ": ", stdout);
    }
    for (uint32_t place = 0; place < l->places; place++) {
        if (json && place != 0)
            (void)fputs(", ", stdout);
        if (json)
            print_json_place(l->observers[place]);
        else
            print_place(l->observers[place]);
    }
    if (json)
        (void)puts("]}");
}

static int show(const char *url)
{
    struct look l;
    struct dx_histogram probe;
    look_end_if_cut_short();
    dx_status status = look_open(&l, url, url);
    /* Can they be read at all? */
    for (uint32_t place = 0; status == DX_OK && place < l.places; place++)
        status = dx_histogram_read(l.observers[place], DX_HISTOGRAM_HOST_CALLS, &probe);
    if (status == DX_OK)
        print_all(&l);
    int code = status == DX_OK ? tool_end_output(syntax.verb) : tool_fail(syntax.verb, status);
    look_close(&l);
    return code;
}

static bool parse_every(uint32_t *every)
{
    char *end;
    *every = 1;
    if (every_text == NULL)
        return true;
    unsigned long long value = strtoull(every_text, &end, 10);
    *every = (uint32_t)value;
    return *every_text >= '0' && *every_text <= '9' && *end == '\0' && value >= 1 &&
           value <= UINT32_MAX;
}

int tool_histogram(int argc, char **argv)
{
    uint32_t every;
    int code = tool_parse(&syntax, argc, argv);
    if (code >= 0)
        return code;
    const char *word = argc - optind == 2 ? argv[optind + 1] : "read";
    bool on = strcmp(word, "on") == 0;
    if (argc - optind < 1 || argc - optind > 2 ||
        (!on && strcmp(word, "off") != 0 && strcmp(word, "read") != 0)) {
        (void)fprintf(stderr,
                      "dx histogram: needs a URL, and perhaps on, off or read after it; \"dx "
                      "histogram -h\" explains\n");
        return TOOL_USAGE;
    }
    if (!parse_every(&every))
        return tool_wrong_value(&syntax, "-every takes a number from 1 to 4294967295", every_text);
    if (every_text != NULL && !on)
        return tool_wrong_value(&syntax, "-every goes with \"on\"", word);
    if (strcmp(word, "read") == 0)
        return show(argv[optind]);
    return turn(argv[optind], on ? every : 0);
}
