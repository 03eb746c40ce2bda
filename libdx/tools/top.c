/* SPDX-License-Identifier: Apache-2.0 */
/* dx top: the command, and what it prints without a screen. */
#include "top.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../clock.h"
#include "../fd_wait.h"
#include "options.h"
#include "signals.h"
#include "tool.h"
#include "units.h"

/* clang-format off */
static const char usage[] =
    "dx top [-every SECONDS] [-once] [-json] [-slots] [-sort BY] [URL]\n"
    "\n"
    "Shows what a region does now, or every region of this user, as \"dx ls\" finds them. It only\n"
    "reads. For each side, all a second:\n"
    "\n"
    "  STATE, PID     as in dx info\n"
    "  BEAT           its heartbeat; 4 or more of a side that lives where heartbeats are needed\n"
    "  CALLS, SERVED  calls of its callers that were answered; calls that its servers served\n"
    "  ERR            calls that failed\n"
    "  SPIN, YIELD, PARK   of all waits, those that ended while spinning, after a yield, and after\n"
    "                 a sleep was begun\n"
    "  PARKS, RINGS   sleeps begun; system calls made to wake the other side\n"
    "  ASLP           threads asleep, on average\n"
    "\n"
    "Keys: q ends it, the arrows choose a region, s shows its slots, PgUp and PgDn scroll, o changes\n"
    "the order, + and - change how often it looks, ? shows the keys.\n"
    "\n"
    "  -every SECONDS  between two looks, 0.1 to 3600 (default 1)\n"
    "  -once           look twice, print that as text, and end\n"
    "  -json           print one JSON object a line instead, with -once only one\n"
    "  -slots          with -once or -json: show the slots, too\n"
    "  -sort BY        rate (default), errors, parks or url\n"
    "\n"
    "Colours follow the terminal; with the variable NO_COLOR set there are none.\n"
    "\n"
    "Exit codes: 0 ended by a key or a signal, or printed; 1 the URL cannot be read, or not\n"
    "everything could be looked at, or there is no terminal; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx top\n"
    "  dx top -once shm:demo\n"
    "  dx top -json -every 10 | jq -c '.regions[] | [.url, .host.calls_per_s]'\n";
/* clang-format on */

int (*top_screen)(struct top *t, int64_t every_ns);

struct options {
    bool once;
    bool json;
    int64_t every_ns;
};

/* Why not all could be looked at that there is. NULL: all was. */
static const char *problem_of(const struct top *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->regions[i]->open && (t->url != NULL || t->regions[i]->unseen))
            return t->regions[i]->problem;
    return t->problem[0] != '\0' ? t->problem : NULL;
}

static int fail_look(const struct top *t)
{
    const char *problem = problem_of(t);
    (void)fprintf(stderr, "dx top: %s\n", problem != NULL ? problem : "no memory");
    return TOOL_FAILED;
}

static bool print_text(const struct top *t)
{
    struct top_lines lines;
    if (!top_lines_make(t, t->want_slots ? SIZE_MAX : TOP_NO_SLOTS, &lines))
        return false;
    (void)fputs(top_head, stdout);
    (void)fputc('\n', stdout);
    for (size_t i = 0; i < lines.count; i++)
        (void)printf("%s\n", lines.items[i].text);
    if (lines.count == 0)
        (void)fputs("no region of this user was found\n", stdout);
    top_lines_free(&lines);
    return true;
}

/* Until the next look. False: a signal came that ends it. */
static bool wait_for_look(int signals, int64_t until_ns)
{
    struct pollfd p = {.fd = signals, .events = POLLIN};
    for (;;) {
        int64_t left_ns = until_ns - dx_clock_ns();
        if (left_ns <= 0)
            return true;
        if (dx_fd_wait(&p, 1, left_ns) > 0 && p.revents != 0)
            return false;
    }
}

/* Looks, and prints from the second look on. */
static int print_looks(struct top *t, const struct options *o, int signals)
{
    int64_t next_ns = dx_clock_ns();
    for (int looks = 1;; looks++) {
        if (!top_look(t))
            return fail_look(t);
        if (looks > 1) {
            if (o->json)
                top_print_json(t, stdout);
            else if (!print_text(t))
                return fail_look(t);
            int code = tool_end_output("top");
            if (o->once || code != TOOL_OK)
                return code == TOOL_OK && problem_of(t) != NULL ? fail_look(t) : code;
        }
        next_ns += o->every_ns;
        if (!wait_for_look(signals, next_ns))
            return TOOL_OK;
    }
}

static int print(struct top *t, const struct options *o)
{
    int signals = signals_take(false);
    if (signals < 0) {
        (void)fprintf(stderr, "dx top: signals cannot be waited for: %s\n", strerror(errno));
        return TOOL_FAILED;
    }
    int code = print_looks(t, o, signals);
    (void)close(signals);
    return code;
}

static int draw(struct top *t, const struct options *o)
{
    if (top_screen == NULL) {
        (void)fputs("dx top: this dx was built without ncurses (Debian: libncurses-dev) and cannot "
                    "draw; -once and -json work\n",
                    stderr);
        return TOOL_FAILED;
    }
    if (isatty(STDOUT_FILENO) != 1 || isatty(STDIN_FILENO) != 1) {
        (void)fputs(
            "dx top: standard input and output are no terminal; -once and -json need none\n",
            stderr);
        return TOOL_FAILED;
    }
    if (!top_look(t))
        return fail_look(t);
    return top_screen(t, o->every_ns);
}

static int parse(int argc, char **argv, struct top *t, struct options *o)
{
    const char *every = "1";
    const char *sort = "rate";
    long long every_ns;
    const struct tool_syntax syntax = {.verb = "top",
                                       .usage = usage,
                                       .flags = {{.name = "every", .value = &every},
                                                 {.name = "once", .set = &o->once},
                                                 {.name = "json", .set = &o->json},
                                                 {.name = "slots", .set = &t->want_slots},
                                                 {.name = "sort", .value = &sort}}};
    int code = tool_parse(&syntax, argc, argv);
    if (code >= 0)
        return code;
    if (!tool_parse_seconds(every, &every_ns))
        return tool_wrong_value(&syntax, "-every takes 0.1 to 3600 seconds", every);
    o->every_ns = every_ns;
    while (t->order < TOP_ORDERS && strcmp(top_order_name(t->order), sort) != 0)
        t->order++;
    if (t->order == TOP_ORDERS)
        return tool_wrong_value(&syntax, "-sort takes rate, errors, parks or url", sort);
    if (optind < argc)
        code = tool_expect_url(&syntax, argc);
    t->url = argv[optind];
    struct dx_url url;
    if (code < 0 && t->url != NULL && dx_url_parse(t->url, &url) != DX_OK)
        code = tool_fail("top", DX_ERR_URL);
    return code;
}

int tool_top(int argc, char **argv)
{
    struct top t = {.url = NULL};
    struct options o = {.once = false};
    int code = parse(argc, argv, &t, &o);
    if (code >= 0)
        return code;
    code = o.once || o.json ? print(&t, &o) : draw(&t, &o);
    top_free(&t);
    return code;
}
