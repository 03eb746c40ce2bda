/* SPDX-License-Identifier: Apache-2.0 */
/* dx ls: the regions and sockets of this user, and which of them are left behind. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json_text.h"
#include "listing.h"
#include "options.h"
#include "tool.h"
#include "units.h"

/* clang-format off */
static const char usage[] =
    "dx ls [-json] [PREFIX]\n"
    "\n"
    "Lists the regions and sockets of this user on this machine, or those whose URL begins with\n"
    "PREFIX. It only reads. For each one:\n"
    "\n"
    "  STATE   alive: a side lives, or a process (such as a VM) maps it; else left behind, or\n"
    "          idle: the memory of a device\n"
    "  HOST    the state of the host, as in dx info, and its process\n"
    "  GUESTS  the same of the guest; of several places, how many guests are open\n"
    "  SLOTS   of the host + of the guest, for each place\n"
    "  SIZE    memory that it takes\n"
    "  AGE     since the memory was made or, if that is later, written to as a file\n"
    "\n"
    "It finds what lies in /dev/shm, what a process of this user maps (files elsewhere, memory\n"
    "at a Unix socket, memory without a name), and sockets in /dev/shm, /tmp and the folder\n"
    "XDG_RUNTIME_DIR at which no process listens. Such a socket may be another program's. In a VM\n"
    "it also finds the memory of ivshmem devices, if this user may read that. A file\n"
    "elsewhere that no process maps is not found. Neither is what processes use that cannot be\n"
    "seen from here: those of another user, or of another process namespace.\n"
    "\n"
    "  -json    a JSON list, with one object for each\n"
    "\n"
    "\"dx reset -all-dead\" clears what is left behind.\n"
    "\n"
    "Exit codes: 0 listed, 1 something could not be looked at, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx ls\n"
    "  dx ls shm:demo\n"
    "  dx ls -json | jq -r '.[] | select(.alive == false) | .url'\n";
/* clang-format on */

#define SIDE_BYTES 24

/* The state of a side and its process. */
static const char *side_text(char text[SIDE_BYTES], const struct peer_report *p)
{
    bool has_pid = p->pid != 0 && strcmp(p->state, "none") != 0;
    if (has_pid)
        (void)snprintf(text, SIDE_BYTES, "%.12s %" PRIu32, p->state, p->pid);
    else
        (void)snprintf(text, SIDE_BYTES, "%.12s", p->state);
    return text;
}

static const char *guests_text(char text[SIDE_BYTES], const struct listing *l)
{
    uint32_t open = 0;
    if (l->places == 1)
        return side_text(text, &l->reports[0].peers[DX_GUEST]);
    for (uint32_t i = 0; i < l->places; i++)
        open += strcmp(l->reports[i].peers[DX_GUEST].state, "open") == 0;
    (void)snprintf(text, SIDE_BYTES, "%" PRIu32 " open of %" PRIu32, open, l->places);
    return text;
}

static const char *state_text(const struct listing *l)
{
    if (l->alive)
        return "alive";
    return l->found->is_device ? "idle" : "left behind";
}

static void print_one(const struct listing *l, int64_t now_s)
{
    char host[SIDE_BYTES] = "-";
    char guests[SIDE_BYTES] = "-";
    char slots[SIDE_BYTES] = "-";
    char size[UNITS_BYTES] = "-";
    char age[UNITS_BYTES];
    if (l->places != 0) {
        const struct dx_geometry *g = &l->reports[0].geometry;
        (void)side_text(host, &l->reports[0].peers[DX_HOST]);
        (void)guests_text(guests, l);
        (void)snprintf(slots, sizeof slots, "%" PRIu32 "+%" PRIu32, g->host_slots, g->guest_slots);
    }
    if (!l->found->is_socket)
        (void)units_bytes(size, l->found->bytes);
    (void)printf("%-11s  %-20s  %-20s  %-9s  %8s  %6s  ", state_text(l), host, guests, slots, size,
                 units_age(age, now_s - l->found->modified_s));
    units_print_text(l->found->url, stdout);
    if (l->found->descriptor[0] != '\0')
        (void)printf(" (%s)", l->found->descriptor);
    if (l->problem[0] != '\0') {
        (void)printf("\n%13s", "");
        units_print_text(l->problem, stdout);
    }
    (void)putchar('\n');
}

static void print_json_guests(const struct listing *l)
{
    (void)fputs(", \"guests\": [", stdout);
    for (uint32_t i = 0; i < l->places; i++) {
        const struct peer_report *p = &l->reports[i].peers[DX_GUEST];
        (void)printf("%s{\"state\": \"%s\", \"pid\": %" PRIu32 "}", i == 0 ? "" : ", ", p->state,
                     p->pid);
    }
    (void)putchar(']');
}

static void print_json_one(const struct listing *l, int64_t now_s)
{
    const struct found *f = l->found;
    (void)fputs("  {\"url\": ", stdout);
    json_print_text(f->url, stdout);
    (void)printf(", \"kind\": \"%s\", \"alive\": %s, \"dead\": %s",
                 f->is_socket   ? "socket"
                 : f->is_device ? "device"
                                : "region",
                 l->alive ? "true" : "false", listing_is_dead(l) ? "true" : "false");
    (void)printf(", \"bytes\": %" PRIu64 ", \"age_s\": %" PRId64, f->bytes, now_s - f->modified_s);
    if (f->descriptor[0] != '\0')
        (void)printf(", \"descriptor\": \"%s\"", f->descriptor);
    if (f->user != 0)
        (void)printf(", \"mapped_by\": %d", (int)f->user);
    if (l->places != 0) {
        const struct report *r = &l->reports[0];
        (void)printf(", \"places\": %" PRIu32 ", \"slots\": {\"host\": %" PRIu32
                     ", \"guest\": %" PRIu32 "}, \"host\": {\"state\": \"%s\", \"pid\": %" PRIu32
                     "}",
                     l->places, r->geometry.host_slots, r->geometry.guest_slots,
                     r->peers[DX_HOST].state, r->peers[DX_HOST].pid);
        print_json_guests(l);
    }
    if (l->problem[0] != '\0') {
        (void)fputs(", \"problem\": ", stdout);
        json_print_text(l->problem, stdout);
    }
    (void)putchar('}');
}

static void print_all(const struct listings *all, bool json)
{
    int64_t now_s = (int64_t)time(NULL);
    if (json) {
        (void)putchar('[');
        for (size_t i = 0; i < all->count; i++) {
            (void)fputs(i == 0 ? "\n" : ",\n", stdout);
            print_json_one(&all->items[i], now_s);
        }
        (void)fputs("\n]\n", stdout);
        return;
    }
    if (all->count == 0) {
        (void)fputs("no such region and no such socket of this user was found\n", stdout);
        return;
    }
    (void)printf("%-11s  %-20s  %-20s  %-9s  %8s  %6s  %s\n", "STATE", "HOST", "GUESTS", "SLOTS",
                 "SIZE", "AGE", "URL");
    for (size_t i = 0; i < all->count; i++)
        print_one(&all->items[i], now_s);
}

int tool_ls(int argc, char **argv)
{
    bool json = false;
    struct listings all;
    const struct tool_syntax syntax = {
        .verb = "ls", .usage = usage, .flags = {{.name = "json", .set = &json}}};
    int code = tool_parse(&syntax, argc, argv);
    if (code < 0)
        code = tool_expect_prefix(&syntax, argc);
    if (code >= 0)
        return code;
    if (!listing_make(argv[optind], &all)) {
        (void)fputs("dx ls: no memory\n", stderr);
        return TOOL_FAILED;
    }
    listing_tell_sockets(&all, "ls",
                         "none is shown, and memory that is served at one is shown as memfd:");
    print_all(&all, json);
    code = tool_end_output("ls");
    if (all.problem[0] != '\0' && code == TOOL_OK) {
        (void)fprintf(stderr, "dx ls: %s; more may be there\n", all.problem);
        code = TOOL_FAILED;
    }
    listing_free(&all);
    return code;
}
