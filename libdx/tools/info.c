/* SPDX-License-Identifier: Apache-2.0 */
/* dx info: shows a region, as an observer that takes no lock and writes nothing. */
#include <getopt.h>

#include "holder.h"
#include "look.h"
#include "options.h"
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

int tool_info(int argc, char **argv)
{
    bool json = false;
    const struct tool_syntax syntax = {
        .verb = "info", .usage = usage, .flags = {{.name = "json", .set = &json}}};
    int code = tool_parse(&syntax, argc, argv);
    if (code < 0)
        code = tool_expect_url(&syntax, argc);
    if (code >= 0)
        return code;
    struct look look;
    struct report reports[DX_GUESTS_MAX];
    const char *url = argv[optind];
    look_end_if_cut_short();
    dx_status status = look_open(&look, url, url);
    if (status == DX_OK)
        status = look_read(&look, reports);
    if (status == DX_OK) {
        for (uint32_t i = 0; i < look.places; i++)
            show(&reports[i], json);
    } else {
        code = tool_fail("info", status);
        explain(url, status);
    }
    look_close(&look);
    return status == DX_OK ? tool_end_output("info") : code;
}
