/* SPDX-License-Identifier: Apache-2.0 */
/* dx reset -all-dead: all that dead processes of this user left, shown first. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../rendezvous_name.h"
#include "listing.h"
#include "reset.h"
#include "sockets.h"
#include "tool.h"
#include "units.h"

static const struct listing *find_same(const struct listings *all, const struct found *f)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct found *other = all->items[i].found;
        if (other->inode == f->inode && other->device == f->device &&
            strcmp(other->url, f->url) == 0)
            return &all->items[i];
    }
    return NULL;
}

static size_t show(const struct listings *all)
{
    int64_t now_s = (int64_t)time(NULL);
    size_t dead = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct listing *l = &all->items[i];
        char size[UNITS_BYTES] = "a socket";
        char age[UNITS_BYTES];
        if (l->alive)
            continue;
        if (!l->found->is_socket)
            (void)units_bytes(size, l->found->bytes);
        bool cleared = listing_is_dead(l);
        (void)printf("%s  %9s  %6s old  ", cleared ? "clear" : "leave", size,
                     units_age(age, now_s - l->found->modified_s));
        units_print_text(l->found->url, stdout);
        (void)fputs(cleared ? "\n"
                    : l->found->is_device
                        ? " (a device's memory: clear it on the host)\n"
                        : " (nobody listens there; it may be another program's)\n",
                    stdout);
        dead += cleared;
    }
    return dead;
}

/* Asks on standard output; no answer is a no. */
static bool ask(size_t dead)
{
    char answer[16] = "";
    (void)printf("Clear %s? [y/N] ", dead == 1 ? "it" : "them");
    (void)fflush(stdout);
    if (fgets(answer, sizeof answer, stdin) == NULL)
        (void)putchar('\n');
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static bool clear(const struct listing *l)
{
    const struct found *f = l->found;
    if (f->is_socket) {
        const char *path = f->url + sizeof "unix:" - 1;
        if (!dx_socket_release(path, f->device, f->inode)) {
            (void)fprintf(stderr, "dx reset: %s: cannot be removed: %s\n", path, strerror(errno));
            return false;
        }
        units_print_text(f->url, stdout);
        (void)fputs(": removed\n", stdout);
        return true;
    }
    dx_status status = reset_one(f->url, false);
    if (status != DX_OK)
        (void)tool_fail("reset", status);
    return status == DX_OK;
}

/* What could not be looked at may have been left as well. */
static int end_listing(struct listings *all, int code)
{
    if (all->problem[0] != '\0') {
        (void)fprintf(stderr, "dx reset: %s; more may be left behind\n", all->problem);
        code = TOOL_FAILED;
    }
    listing_free(all);
    return code;
}

/* Looks anew, since it may have taken long to answer, and clears what is still as it was shown. */
static int clear_all(const char *prefix, const struct listings *shown)
{
    struct listings now;
    int code = TOOL_OK;
    if (!listing_make(prefix, &now)) {
        (void)fputs("dx reset: no memory\n", stderr);
        return TOOL_FAILED;
    }
    if (shown->found.sockets_error == 0)
        listing_tell_sockets(&now, "reset", "none is cleared");
    for (size_t i = 0; i < shown->count; i++) {
        if (!listing_is_dead(&shown->items[i]))
            continue;
        const struct listing *l = find_same(&now, shown->items[i].found);
        if (l != NULL && listing_is_dead(l)) {
            code = clear(l) ? code : TOOL_FAILED;
            continue;
        }
        bool hidden = shown->items[i].found->is_socket && now.found.sockets_error != 0;
        units_print_text(shown->items[i].found->url, stdout);
        (void)fputs(hidden ? ": cannot be looked at again\n" : ": is gone, or lives again\n",
                    stdout);
        code = hidden ? TOOL_FAILED : code;
    }
    return end_listing(&now, code);
}

int reset_all(const char *prefix, bool yes)
{
    struct listings all;
    int code = TOOL_OK;
    if (!listing_make(prefix, &all)) {
        (void)fputs("dx reset: no memory\n", stderr);
        return TOOL_FAILED;
    }
    listing_tell_sockets(&all, "reset", "none is cleared");
    size_t dead = show(&all);
    bool asked = dead != 0 && !yes && isatty(STDIN_FILENO) == 1;
    if (dead == 0) {
        (void)fputs("nothing is left behind that dx made for certain\n", stdout);
    } else if (!yes && !asked) {
        (void)fputs("dx reset: standard input is no terminal, so that nobody can be asked; give "
                    "-yes to clear all of that\n",
                    stderr);
        code = TOOL_FAILED;
    } else if (asked && !ask(dead)) {
        (void)fputs("nothing was changed\n", stdout);
    } else {
        code = clear_all(prefix, &all);
    }
    return end_listing(&all, code);
}
