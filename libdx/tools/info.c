/* SPDX-License-Identifier: Apache-2.0 */
/* dx info: shows a region, as an observer that takes no lock and writes nothing. */
#include <string.h>

#include "../atomic.h"
#include "../channel.h"
#include "holder.h"
#include "report.h"
#include "tool.h"

/* clang-format off */
static const char usage[] =
    "dx info [-json] URL\n"
    "\n"
    "Shows a region while it is used, or what is left of it. It only reads, so it disturbs\n"
    "nobody. It shows:\n"
    "\n"
    "  - the version of the protocol and the sizes\n"
    "  - for each side: its state (none, initialising, open, closed, dead), its process, its\n"
    "    session and epoch, its kernel, how it parks, and how often its heartbeat advanced\n"
    "  - locks: host and guest are held if that side lives; open is held if what the region\n"
    "    says of the host is true. For sides under another kernel it waits up to 0.5 s for a\n"
    "    heartbeat, for all sides together\n"
    "  - the counters of dx_stats.h, summed over the callers and the serving threads of a side\n"
    "\n"
    "The host of several guests has a place for each. Every place is shown.\n"
    "\n"
    "  -json    one JSON object, or a list with one for each place; sessions are hexadecimal\n"
    "\n"
    "If the region cannot be read, it says why, who holds it, and what to do.\n"
    "\n"
    "Exit codes: 0 shown, 1 the region cannot be read, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx info shm:demo\n"
    "  dx info -json file:/dev/shm/demo | jq .counters.host_callers.calls\n"
    "  dx info memfd:3 3<>/proc/PID/fd/N    the unnamed region of another process\n";
/* clang-format on */

/* What to call the state of a side, of which its lock is the proof and its line only the word:
 * that of an earlier life, until this one has begun. */
static const char *state_of(const struct dx_channel *c, enum dx_side side, bool locked, bool begun)
{
    /* A4 <- R4. */
    uint32_t state = dx_load_acquire(&c->peers[side].state);
    if (locked && !begun)
        return "initialising";
    if (state == DX_PEER_STATE_CLOSED)
        return "closed";
    if (locked)
        return state == DX_PEER_STATE_OPEN ? "open" : "initialising";
    return state == DX_PEER_STATE_NONE ? "none" : "dead";
}

static struct peer_report report_peer(const struct dx_channel *c, enum dx_side side, bool locked,
                                      bool begun)
{
    static const char *const parks[] = {"never", "futex", "sem", "poll", "doorbell"};
    const struct dx_peer_lines *p = &c->peers[side];
    struct peer_report r = {.state = state_of(c, side, locked, begun), .pid = p->pid};
    /* Relaxed: for people, and of no common instant. */
    r.doorbell_id = dx_load_relaxed(&p->doorbell_id);
    r.epoch = dx_load_relaxed(&p->epoch);
    r.slots_used = dx_load_relaxed(&p->slots_used);
    r.session = dx_load_relaxed(&p->session);
    r.kernel = dx_load_relaxed(&p->kernel);
    r.beats = dx_load_relaxed(&p->heartbeat);
    uint32_t park = dx_load_relaxed(&p->park);
    r.park = park < sizeof parks / sizeof *parks ? parks[park] : "unknown";
    return r;
}

/* Of a side under another kernel the heartbeat is the proof. */
static void note(struct dx_heartbeat_sample *sample, const struct dx_channel *c, enum dx_side side)
{
    const struct dx_peer_lines *p = &c->peers[side];
    *sample = (struct dx_heartbeat_sample){.peer = NULL};
    /* A4 <- R4. */
    if (dx_load_acquire(&p->state) == DX_PEER_STATE_OPEN &&
        (dx_channel_kernels(c) == DX_OTHER_KERNEL || dx_peer_is_remote(p)))
        dx_heartbeat_note(sample, p);
}

static struct report make_report(const struct dx_channel *c, const char *url,
                                 const struct dx_heartbeat_sample samples[2])
{
    int fd = c->region.fd;
    struct report r = {.url = url, .version = c->header->version, .geometry = c->geometry};
    uint32_t place = c->region.place;
    r.open_locked = dx_region_lock_held(fd, dx_lock_at(place, DX_LOCK_OPEN));
    r.host_locked = dx_region_lock_held(fd, dx_lock_at(place, DX_LOCK_HOST));
    r.guest_locked = dx_region_lock_held(fd, dx_lock_at(place, DX_LOCK_GUEST));
    if (samples[DX_HOST].heard)
        r.host_locked = r.open_locked = true;
    r.guest_locked |= samples[DX_GUEST].heard;
    r.peers[DX_HOST] = report_peer(c, DX_HOST, r.host_locked, r.open_locked);
    r.peers[DX_GUEST] = report_peer(c, DX_GUEST, r.guest_locked, true);
    for (int of = 0; of < REPORT_STATS; of++)
        (void)dx_stats_read(c, (enum dx_stats_of)of, &r.stats[of]);
    return r;
}

/* What there is to do about it. */
static const char *advice(dx_status status, bool blank)
{
    switch (status) {
    case DX_ERR_NOT_DX:
        return blank ? "it is blank: no host has begun there yet"
                     : "if a host of dx was there, \"dx reset -force\" makes room for another";
    case DX_ERR_GEOMETRY:
    case DX_ERR_SHORT:
        return "\"dx reset\" makes room for a new host, if nobody lives there";
    case DX_ERR_STALE:
        return blank ? NULL : "if no host is at work, \"dx reset\" or a new host begins it anew";
    case DX_ERR_VERSION:
        return "take the dx of that version";
    default:
        return NULL;
    }
}

static void explain_lock(int fd, enum dx_lock lock, const char *side)
{
    if (dx_region_lock_held(fd, lock)) {
        char holder[TOOL_HOLDER_BYTES];
        (void)fprintf(stderr, "  a %s lives: %s\n", side, tool_holder_text(fd, lock, holder));
    }
}

/* A region that cannot be read may have living holders. */
static void explain(const char *text, dx_status status)
{
    struct dx_url url;
    struct dx_region region;
    if (dx_url_parse(text, &url) != DX_OK)
        return;
    dx_status opened = dx_region_open(&url, true, &region);
    bool blank = false;
    if (opened == DX_OK && dx_region_check_blank(region.fd, region.url.path, &blank) != DX_OK)
        blank = false;
    if (opened == DX_OK || opened == DX_ERR_SHORT) {
        explain_lock(region.fd, DX_LOCK_HOST, "host");
        explain_lock(region.fd, DX_LOCK_GUEST, "guest");
    }
    dx_region_close(&region);
    if (advice(status, blank) != NULL)
        (void)fprintf(stderr, "  %s\n", advice(status, blank));
}

/* One place of several; as JSON they are the elements of a list. */
static void show(const struct report *r, bool json)
{
    const struct dx_geometry *g = &r->geometry;
    if (!json) {
        (void)fputs(g->place != 0 ? "\n" : "", stdout);
        report_print(r, stdout);
        return;
    }
    if (g->places > 1)
        (void)fputs(g->place == 0 ? "[\n" : ",\n", stdout);
    report_print_json(r, stdout);
    if (g->places > 1 && g->place + 1 == g->places)
        (void)fputs("]\n", stdout);
}

/* Opens all places. Whoever serves a rendezvous is asked once: the others are in the same memory.
 */
static dx_status observe_all(const char *url, struct dx_channel **observers, uint32_t *places)
{
    char memory[32];
    dx_status status = dx_observe(url, &observers[0]);
    if (status != DX_OK)
        return status;
    uint32_t all = observers[0]->geometry.places;
    if (observers[0]->region.url.transport == &dx_transport_unix) {
        (void)snprintf(memory, sizeof memory, "memfd:%d", observers[0]->region.fd);
        url = memory;
    }
    for (*places = 1; *places < all; ++*places) {
        status = dx_observe_place(url, *places, &observers[*places]);
        if (status != DX_OK)
            return status;
    }
    return DX_OK;
}

static void show_all(const char *url, struct dx_channel *const *observers, uint32_t places,
                     bool json)
{
    struct dx_heartbeat_sample samples[2 * DX_GUESTS_MAX];
    for (uint32_t i = 0; i < places; i++) {
        note(&samples[2 * i + DX_HOST], observers[i], DX_HOST);
        note(&samples[2 * i + DX_GUEST], observers[i], DX_GUEST);
    }
    dx_heartbeat_listen(samples, 2 * places, DX_HEARTBEAT_LISTEN_NS);
    for (uint32_t i = 0; i < places; i++) {
        struct report r = make_report(observers[i], url, &samples[2 * i]);
        show(&r, json);
    }
}

int tool_info(int argc, char **argv)
{
    static const struct tool_url_verb verb = {"info", usage, "json"};
    bool json = false;
    const char *url;
    int code = tool_parse_url(&verb, argc, argv, &json, &url);
    if (code >= 0)
        return code;
    struct dx_channel *observers[DX_GUESTS_MAX];
    uint32_t places = 0;
    dx_status status = observe_all(url, observers, &places);
    if (status == DX_OK) {
        show_all(url, observers, places, json);
    } else {
        code = tool_fail("info", status);
        explain(url, status);
    }
    while (places > 0)
        (void)dx_close(observers[--places]);
    return status == DX_OK ? tool_end_output("info") : code;
}
