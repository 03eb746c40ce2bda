/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "json_text.h"

static const char *const sides[REPORT_SIDES] = {"host", "guest"};

/* By enum dx_stats_of. */
static const struct {
    const char *side;
    const char *role;
} kinds[REPORT_STATS] = {
    {"host", "caller"}, {"guest", "server"}, {"guest", "caller"}, {"host", "server"}};

/* A counter of every caller and server, of which some families have several, told apart by `phase`.
 */
struct part {
    const char *phase;
    size_t offset;
};

enum { PARTS = 3 };

struct family {
    const char *name;
    const char *help;
    const char *type;
    bool is_ns; /* shown in seconds */
    struct part parts[PARTS];
};

#define ONE(field)                                                                                 \
    {                                                                                              \
        {                                                                                          \
            NULL, offsetof(struct dx_stats, field)                                                 \
        }                                                                                          \
    }

static const struct family families[] = {
    {"dx_calls_total", "Calls: of callers those that were answered, of servers those served.",
     "counter", false, ONE(calls)},
    {"dx_request_bytes_total", "Payload of requests.", "counter", false, ONE(request_bytes)},
    {"dx_response_bytes_total", "Payload of responses.", "counter", false, ONE(response_bytes)},
    {"dx_errors_total", "Calls that failed, with timeouts.", "counter", false, ONE(errors)},
    {"dx_timeouts_total", "Calls that failed at their deadline.", "counter", false, ONE(timeouts)},
    {"dx_waits_total",
     "Waits, by the phase in which they ended.",
     "counter",
     false,
     {{"spin", offsetof(struct dx_stats, spin)},
      {"yield", offsetof(struct dx_stats, yield)},
      {"park", offsetof(struct dx_stats, park)}}},
    {"dx_looks_total", "Looks at an awaited word, or rounds over the slots.", "counter", false,
     ONE(looks)},
    {"dx_yields_total", "Yields of the CPU while waiting.", "counter", false, ONE(yields)},
    {"dx_parks_total", "Sleeps begun.", "counter", false, ONE(parks)},
    {"dx_park_seconds_total", "Time asleep.", "counter", true, ONE(park_ns)},
    {"dx_spurious_wakeups_total", "Sleeps that a ring ended, and nothing had come.", "counter",
     false, ONE(spurious)},
    {"dx_rescued_wakeups_total", "Answers found when a sleep timed out.", "counter", false,
     ONE(rescued)},
    {"dx_rings_total", "System calls made to wake the other side.", "counter", false, ONE(rings)},
    {"dx_spin_limit_looks", "Looks after which spinning is given up now; of several, the largest.",
     "gauge", false, ONE(spin_limit)},
};

static void print_head(const char *name, const char *help, const char *type, FILE *out)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value may be any text; what is no UTF-8 becomes U+FFFD. */
static void print_url(const char *url, FILE *out)
{
    const unsigned char *s = (const unsigned char *)url;
    (void)fputs("url=\"", out);
    while (*s != '\0') {
        size_t bytes = json_utf8_bytes(s);
        if (bytes == 0)
            (void)fputs("\xef\xbf\xbd", out);
        else if (*s == '\n')
            (void)fputs("\\n", out);
        else if (*s == '"' || *s == '\\')
            (void)fprintf(out, "\\%c", *s);
        else
            (void)fwrite(s, 1, bytes, out);
        s += bytes != 0 ? bytes : 1;
    }
    (void)fputc('"', out);
}

/* One sample, with the labels of the format after the URL. */
__attribute__((format(printf, 4, 5))) static void print_labels(const char *name, const char *url,
                                                               FILE *out, const char *format, ...)
{
    va_list arguments;
    (void)fprintf(out, "%s{", name);
    print_url(url, out);
    va_start(arguments, format);
    (void)vfprintf(out, format, arguments);
    va_end(arguments);
    (void)fputs("} ", out);
}

static void print_value(uint64_t value, bool is_ns, FILE *out)
{
    if (is_ns)
        (void)fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", value / 1000000000u, value % 1000000000u);
    else
        (void)fprintf(out, "%" PRIu64 "\n", value);
}

static void print_counter(const struct family *f, const struct report *r, size_t kind, FILE *out)
{
    for (size_t i = 0; i < PARTS && (i == 0 || f->parts[i].phase != NULL); i++) {
        uint64_t value;
        const char *phase = f->parts[i].phase;
        memcpy(&value, (const char *)&r->stats[kind] + f->parts[i].offset, sizeof value);
        print_labels(f->name, r->url, out, ",place=\"%" PRIu32 "\",side=\"%s\",role=\"%s\"%s%s%s",
                     r->geometry.place, kinds[kind].side, kinds[kind].role,
                     phase != NULL ? ",phase=\"" : "", phase != NULL ? phase : "",
                     phase != NULL ? "\"" : "");
        print_value(value, f->is_ns, out);
    }
}

/* What there is of each side, apart from counters of calls. */
static uint64_t peer_value(const struct report *r, size_t side, size_t what)
{
    const struct peer_report *p = &r->peers[side];
    switch (what) {
    case 0:
        return strcmp(p->state, "open") == 0;
    case 1:
        return p->beats;
    case 2:
        return p->slots_used;
    default:
        return side == DX_HOST ? r->geometry.host_slots : r->geometry.guest_slots;
    }
}

static const char *const of_peers[][3] = {
    {"dx_peer_open", "Whether this side is there, and lives.", "gauge"},
    {"dx_peer_heartbeats_total", "How often the heartbeat of this side has advanced.", "counter"},
    {"dx_peer_slots_used", "Slots of this side that were in use at once, at most.", "gauge"},
    {"dx_region_slots", "Slots on which this side calls.", "gauge"},
};

static void print_peers(const struct metrics_region *regions, size_t count, FILE *out)
{
    for (size_t what = 0; what < sizeof of_peers / sizeof *of_peers; what++) {
        print_head(of_peers[what][0], of_peers[what][1], of_peers[what][2], out);
        for (size_t i = 0; i < count; i++)
            for (size_t at = 0; at < regions[i].places * REPORT_SIDES; at++) {
                const struct report *r = &regions[i].reports[at / REPORT_SIDES];
                size_t side = at % REPORT_SIDES;
                print_labels(of_peers[what][0], r->url, out, ",place=\"%" PRIu32 "\",side=\"%s\"",
                             r->geometry.place, sides[side]);
                print_value(peer_value(r, side, what), false, out);
            }
    }
}

static void print_regions(const struct metrics_region *regions, size_t count, FILE *out)
{
    print_head("dx_up", "Whether the region could be read.", "gauge", out);
    for (size_t i = 0; i < count; i++) {
        print_labels("dx_up", regions[i].url, out, "%s", "");
        print_value(regions[i].places != 0, false, out);
    }
    print_head("dx_region_bytes", "Size of the region of one place.", "gauge", out);
    for (size_t i = 0; i < count; i++)
        for (uint32_t place = 0; place < regions[i].places; place++) {
            const struct report *r = &regions[i].reports[place];
            print_labels("dx_region_bytes", r->url, out, ",place=\"%" PRIu32 "\"", place);
            print_value(r->geometry.region_bytes, false, out);
        }
}

void metrics_print(const struct metrics_region *regions, size_t count, FILE *out)
{
    print_regions(regions, count, out);
    print_peers(regions, count, out);
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        print_head(families[f].name, families[f].help, families[f].type, out);
        for (size_t i = 0; i < count; i++)
            for (size_t at = 0; at < regions[i].places * REPORT_STATS; at++)
                print_counter(&families[f], &regions[i].reports[at / REPORT_STATS],
                              at % REPORT_STATS, out);
    }
}
