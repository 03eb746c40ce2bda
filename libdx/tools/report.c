/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "json_text.h"

static const char *const sides[REPORT_SIDES] = {"host", "guest"};

/* By enum dx_stats_of; the second of each is its key for programs. */
static const char *const kinds[REPORT_STATS][2] = {{"host calls", "host_callers"},
                                                   {"guest serves", "guest_servers"},
                                                   {"guest calls", "guest_callers"},
                                                   {"host serves", "host_servers"}};

/* In the order of interest. */
static const struct {
    const char *name;
    size_t offset;
} counters[] = {
#define COUNTER(name)                                                                              \
    {                                                                                              \
#name, offsetof(struct dx_stats, name)                                                     \
    }
    COUNTER(calls),    COUNTER(request_bytes), COUNTER(response_bytes), COUNTER(errors),
    COUNTER(timeouts), COUNTER(spin),          COUNTER(yield),          COUNTER(park),
    COUNTER(parks),    COUNTER(park_ns),       COUNTER(spurious),       COUNTER(rings),
    COUNTER(rescued),  COUNTER(looks),         COUNTER(yields),         COUNTER(spin_limit),
#undef COUNTER
};
#define COUNTERS (sizeof counters / sizeof *counters)

_Static_assert(COUNTERS == offsetof(struct dx_stats, reserved) / sizeof(uint64_t),
               "every counter is shown");

static uint64_t counter(const struct dx_stats *stats, size_t i)
{
    uint64_t value;
    memcpy(&value, (const char *)stats + counters[i].offset, sizeof value);
    return value;
}

static void print_counters(const struct report *r, FILE *out)
{
    (void)fprintf(out, "\n%-14s", "");
    for (size_t kind = 0; kind < REPORT_STATS; kind++)
        (void)fprintf(out, " %16s", kinds[kind][0]);
    for (size_t i = 0; i < COUNTERS; i++) {
        (void)fprintf(out, "\n%-14s", counters[i].name);
        for (size_t kind = 0; kind < REPORT_STATS; kind++)
            (void)fprintf(out, " %16" PRIu64, counter(&r->stats[kind], i));
    }
    (void)fputc('\n', out);
}

/* At the rendezvous, or what stands for none. */
static const char *id_of(const struct peer_report *p, char text[16], const char *none)
{
    (void)snprintf(text, 16, "%" PRIu32, p->doorbell_id - 1);
    return p->doorbell_id != 0 ? text : none;
}

void report_print(const struct report *r, FILE *out)
{
    (void)fprintf(
        out,
        "%s: version %" PRIu32 ".%" PRIu32 ", place %" PRIu32 " of %" PRIu32 ", %" PRIu64 " bytes\n"
        "slots: %" PRIu32 " of the host, %" PRIu32 " of the guest; requests up to %zu "
        "bytes, responses up to %zu bytes\n\n",
        r->url, r->version >> 16, r->version & 0xffffu, r->geometry.place, r->geometry.places,
        r->geometry.region_bytes, r->geometry.host_slots, r->geometry.guest_slots,
        r->geometry.request_capacity, r->geometry.response_capacity);
    (void)fprintf(out, "%-6s %-12s %10s %5s %9s %10s  %-16s  %-16s %-8s %s\n", "peer", "state",
                  "pid", "id", "epoch", "slots used", "session", "kernel", "parks by", "beats");
    for (size_t side = 0; side < REPORT_SIDES; side++) {
        const struct peer_report *p = &r->peers[side];
        char text[16];
        (void)fprintf(out,
                      "%-6s %-12s %10" PRIu32 " %5s %9" PRIu32 " %10" PRIu32 "  %016" PRIx64
                      "  %016" PRIx64 " %-8s %" PRIu64 "\n",
                      sides[side], p->state, p->pid, id_of(p, text, "-"), p->epoch, p->slots_used,
                      p->session, p->kernel, p->park, p->beats);
    }
    (void)fprintf(out, "locks: host %s, open %s, guest %s\n", r->host_locked ? "held" : "free",
                  r->open_locked ? "held" : "free", r->guest_locked ? "held" : "free");
    print_counters(r, out);
}

static void print_json_peers(const struct report *r, FILE *out)
{
    (void)fputs("  \"peers\": {\n", out);
    for (size_t side = 0; side < REPORT_SIDES; side++) {
        const struct peer_report *p = &r->peers[side];
        char text[16];
        /* The session is text: many readers of JSON have 53 bits for a number. */
        (void)fprintf(
            out,
            "    \"%s\": {\"state\": \"%s\", \"pid\": %" PRIu32 ", \"id\": %s, \"epoch\": %" PRIu32
            ", \"slots_used\": %" PRIu32 ", \"session\": \"%016" PRIx64
            "\", \"kernel\": \"%016" PRIx64 "\", \"park\": \"%s\", \"beats\": %" PRIu64 "}%s\n",
            sides[side], p->state, p->pid, id_of(p, text, "null"), p->epoch, p->slots_used,
            p->session, p->kernel, p->park, p->beats, side + 1 < REPORT_SIDES ? "," : "");
    }
    (void)fputs("  },\n", out);
}

static void print_json_counters(const struct report *r, FILE *out)
{
    (void)fputs("  \"counters\": {\n", out);
    for (size_t kind = 0; kind < REPORT_STATS; kind++) {
        (void)fprintf(out, "    \"%s\": {", kinds[kind][1]);
        for (size_t i = 0; i < COUNTERS; i++)
            (void)fprintf(out, "%s\"%s\": %" PRIu64, i == 0 ? "" : ", ", counters[i].name,
                          counter(&r->stats[kind], i));
        (void)fprintf(out, "}%s\n", kind + 1 < REPORT_STATS ? "," : "");
    }
    (void)fputs("  }\n", out);
}

static const char *json_bool(bool value)
{
    return value ? "true" : "false";
}

void report_print_json(const struct report *r, FILE *out)
{
    (void)fputs("{\n  \"url\": ", out);
    json_print_text(r->url, out);
    (void)fprintf(out,
                  ",\n  \"version\": \"%" PRIu32 ".%" PRIu32 "\",\n"
                  "  \"place\": %" PRIu32 ", \"places\": %" PRIu32 ",\n"
                  "  \"region_bytes\": %" PRIu64 ",\n"
                  "  \"slots\": {\"host\": %" PRIu32 ", \"guest\": %" PRIu32 "},\n"
                  "  \"request_capacity_bytes\": %zu,\n"
                  "  \"response_capacity_bytes\": %zu,\n",
                  r->version >> 16, r->version & 0xffffu, r->geometry.place, r->geometry.places,
                  r->geometry.region_bytes, r->geometry.host_slots, r->geometry.guest_slots,
                  r->geometry.request_capacity, r->geometry.response_capacity);
    print_json_peers(r, out);
    (void)fprintf(out, "  \"locks\": {\"host\": %s, \"open\": %s, \"guest\": %s},\n",
                  json_bool(r->host_locked), json_bool(r->open_locked), json_bool(r->guest_locked));
    print_json_counters(r, out);
    (void)fputs("}\n", out);
}
