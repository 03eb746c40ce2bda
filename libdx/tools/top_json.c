/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "json_text.h"
#include "top.h"

static void print_rates(const struct top_rates *r, FILE *out)
{
    (void)fprintf(out,
                  "\"calls_per_s\": %.1f, \"serves_per_s\": %.1f, \"errors_per_s\": %.1f, "
                  "\"timeouts_per_s\": %.1f, \"spin_per_s\": %.1f, \"yield_per_s\": %.1f, "
                  "\"park_per_s\": %.1f, \"parks_per_s\": %.1f, \"rings_per_s\": %.1f, "
                  "\"asleep\": %.4f",
                  r->calls, r->serves, r->errors, r->timeouts, r->spin, r->yield, r->park, r->parks,
                  r->rings, r->asleep);
}

static void print_side(const char *name, const struct top_side *s, FILE *out)
{
    (void)fprintf(out,
                  ", \"%s\": {\"state\": \"%s\", \"pid\": %" PRIu32 ", \"beats_per_s\": %.1f, ",
                  name, s->state, s->pid, s->beats);
    print_rates(&s->rates, out);
    for (int kind = 0; kind < LATENCY_KINDS; kind++) {
        const struct latency *l = &s->latencies[kind];
        (void)fprintf(out,
                      ", \"%s\": {\"count\": %" PRIu64 ", \"p50_ns\": %" PRIu64
                      ", \"p99_ns\": %" PRIu64 "}",
                      latency_key((enum latency_kind)kind), l->count, l->p50_ns, l->p99_ns);
    }
    (void)fputc('}', out);
}

static void print_slots(const struct top_region *r, uint32_t place, FILE *out)
{
    struct top_slot s;
    (void)fputs(", \"slots\": [", out);
    for (uint32_t i = 0; top_slot(r, place, i, &s); i++) {
        (void)fprintf(out,
                      "%s{\"slot\": %" PRIu32 ", \"side\": \"%s\", \"caller\": \"%s\", "
                      "\"server\": \"%s\", \"sequence\": %" PRIu32 ", ",
                      i == 0 ? "" : ", ", s.slot, s.side == DX_HOST ? "host" : "guest", s.caller,
                      s.server, s.sequence);
        print_rates(&s.rates, out);
        (void)fputc('}', out);
    }
    (void)fputc(']', out);
}

static void print_place(const struct top_region *r, uint32_t place, bool slots, FILE *out)
{
    struct top_place p;
    top_place(r, place, &p);
    (void)fputs("{\"url\": ", out);
    json_print_text(r->url, out);
    (void)fprintf(out, ", \"place\": %" PRIu32 ", \"places\": %" PRIu32 ", \"interval_s\": %.3f",
                  place, r->look.places, r->looks > 1 ? r->seconds : 0.0);
    print_side("host", &p.sides[DX_HOST], out);
    print_side("guest", &p.sides[DX_GUEST], out);
    if (slots)
        print_slots(r, place, out);
    (void)fputc('}', out);
}

void top_print_json(const struct top *t, FILE *out)
{
    bool first = true;
    (void)fputs("{\"regions\": [", out);
    for (size_t i = 0; i < t->count; i++) {
        const struct top_region *r = t->regions[i];
        for (uint32_t place = 0; r->open && place < r->look.places; place++) {
            (void)fputs(first ? "" : ", ", out);
            print_place(r, place, t->want_slots, out);
            first = false;
        }
        if (r->open)
            continue;
        (void)fputs(first ? "{\"url\": " : ", {\"url\": ", out);
        json_print_text(r->url, out);
        (void)fputs(", \"problem\": ", out);
        json_print_text(r->problem, out);
        (void)fputc('}', out);
        first = false;
    }
    (void)fputs("]}\n", out);
}
