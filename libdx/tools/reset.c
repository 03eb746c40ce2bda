/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dx reset: what dead processes left is cleared. A host takes over whatever has the magic of dx by
 * itself, so that this is for names that nobody uses again, and for damage behind which no
 * host would believe in a region. Both locks are held meanwhile: nobody lives there, and nobody
 * begins to.
 */
#include "reset.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../error.h"
#include "../liveness_heartbeat.h"
#include "../transport.h"
#include "holder.h"
#include "look.h"
#include "options.h"
#include "tool.h"

/* clang-format off */
static const char usage[] =
    "dx reset [-force] URL\n"
    "dx reset -all-dead [-yes] [PREFIX]\n"
    "\n"
    "Clears a region that dead processes left. A shm: name is removed, which frees its memory.\n"
    "A file keeps its size and is filled with zeros, and so is the memory of a rendezvous. A\n"
    "host may begin there again.\n"
    "\n"
    "A new host takes over what is left without this. Use it for names that nobody will use\n"
    "again, and for damaged regions.\n"
    "\n"
    "It changes nothing, and says why, if a host or a guest lives, if the name is a symbolic\n"
    "link, or if the file belongs to another user, is open to others, or is not dx's.\n"
    "\n"
    "  -force     also clear a file that does not begin as a region of dx; all other checks stay\n"
    "  -all-dead  clear everything that \"dx ls\" says is left behind (where URLs begin with\n"
    "             PREFIX, if that is given): it shows that, and asks. A\n"
    "             socket at which nobody listens is cleared in /dev/shm; elsewhere it may be\n"
    "             another program's, and is left\n"
    "  -yes       do not ask. It has to be given where standard input is no terminal\n"
    "\n"
    "Exit codes: 0 cleared; 1 refused or failed, or with -all-dead not everything could be looked at;\n"
    "2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx reset shm:demo\n"
    "  dx reset -force file:/dev/shm/damaged\n"
    "  dx reset -all-dead\n";
/* clang-format on */

/* Opened, whatever its size. */
static dx_status open_any(const struct dx_url *url, struct dx_region *region, uint64_t *bytes)
{
    struct stat s;
    dx_status status = dx_region_open(url, false, region);
    if (status != DX_OK && (status != DX_ERR_SHORT || region->fd < 0))
        return status;
    if (fstat(region->fd, &s) != 0)
        return dx_fail_errno("%s: cannot be examined", url->path);
    *bytes = (uint64_t)s.st_size;
    return DX_OK;
}

/* Does the name still stand for what was opened? Memory without a name of its own always does. */
static dx_status check_name(const struct dx_region *region, bool *same)
{
    *same = true;
    if (region->url.transport->name != DX_NAME_FILE)
        return DX_OK;
    return dx_region_check_name(region->url.path, region->fd, same);
}

/* Both locks of a place, or who has them. */
static dx_status lock_out_of(const struct dx_region *region, uint32_t place)
{
    char holder[TOOL_HOLDER_BYTES];
    const char *path = region->url.path;
    uint32_t host = dx_lock_at(place, DX_LOCK_HOST);
    dx_status status = dx_region_lock(region->fd, host, path);
    if (status == DX_ERR_BUSY)
        return dx_fail(DX_ERR_HOST_EXISTS, "%s: %s is its host; end that one first", path,
                       tool_holder_text(region->fd, host, holder));
    if (status == DX_OK)
        status = dx_region_lock_out_guest(region->fd, place, path);
    if (status == DX_ERR_BUSY)
        return dx_fail(DX_ERR_GUEST_EXISTS,
                       "%s: its host is dead, yet %s is still its guest; end that one first", path,
                       tool_holder_text(region->fd, dx_lock_at(place, DX_LOCK_GUEST), holder));
    return status;
}

/* Is a guest from another kernel heard in any place that the header tells of? */
static bool is_heard(const struct dx_region *region)
{
    struct dx_geometry g;
    if (region->base == NULL)
        return false;
    if (dx_header_check(region->base, region->bytes, &g) != DX_OK)
        g = (struct dx_geometry){.places = 1};
    struct dx_heartbeat_sample samples[DX_GUESTS_MAX] = {{.peer = NULL}};
    for (uint32_t place = 0; place < g.places; place++) {
        uint64_t offset = place * g.place_bytes;
        if (offset + DX_HEADER_BYTES > region->bytes)
            break;
        if (dx_region_touch(region, offset, DX_HEADER_BYTES) != DX_OK)
            continue; /* nobody has been there */
        const void *peers = (const char *)region->base + offset + sizeof(struct dx_header);
        const struct dx_peer_lines *guest = (const struct dx_peer_lines *)peers + DX_GUEST;
        if (!dx_heartbeat_vacant(guest))
            dx_heartbeat_note(&samples[place], guest);
    }
    dx_heartbeat_listen(samples, g.places, DX_PEER_TIMEOUT_NS);
    bool heard = false;
    for (uint32_t place = 0; place < g.places; place++)
        heard |= samples[place].heard;
    return heard;
}

/* The locks of all places that there could be, or who has one. */
static dx_status lock_out(const struct dx_region *region)
{
    for (uint32_t place = 0; place < DX_GUESTS_MAX; place++) {
        dx_status status = lock_out_of(region, place);
        if (status != DX_OK)
            return status;
    }
    if (is_heard(region))
        return dx_fail(DX_ERR_GUEST_EXISTS,
                       "%s: its host is dead, yet a guest in a VM lives; end that one first",
                       region->url.path);
    return DX_OK;
}

/* The file that has the name, with both locks. */
static dx_status open_locked(const struct dx_url *url, struct dx_region *region, uint64_t *bytes)
{
    for (;;) {
        bool same = false;
        dx_status status = open_any(url, region, bytes);
        if (status == DX_OK)
            status = lock_out(region);
        if (status == DX_OK)
            status = check_name(region, &same);
        if (status != DX_OK || same)
            return status;
        /* Its last host removed it between our open and our lock. */
        dx_region_close(region);
    }
}

enum content { IS_DX, IS_BLANK, IS_OTHER };

static dx_status look_at_content(const struct dx_region *region, enum content *content)
{
    bool is_dx = false;
    bool blank = false;
    dx_status status = dx_region_check_dx(region->fd, region->url.path, &is_dx);
    if (status == DX_OK && !is_dx)
        status = dx_region_check_blank(region->fd, region->url.path, &blank);
    *content = is_dx ? IS_DX : blank ? IS_BLANK : IS_OTHER;
    return status;
}

/* Holes stay what they are, so that a large sparse file costs nothing. */
static bool clear_data(int fd, uint64_t from, uint64_t end)
{
    for (uint64_t to; dx_region_next_data(fd, &from, &to, end); from = to)
        if (!dx_region_write_zeros(fd, from, to))
            return false;
    return true;
}

/* Whoever dies in here leaves what a host takes over: the mark goes last. */
static dx_status make_blank(const struct dx_region *region, uint64_t bytes)
{
    const uint64_t mark = DX_MAGIC_REBUILDING;
    if (bytes < DX_HEADER_BYTES)
        return dx_fail(DX_ERR_SHORT,
                       "%s: has %" PRIu64 " bytes, a dx region has at least %u: remove it yourself",
                       region->url.path, bytes, DX_HEADER_BYTES);
    dx_status status = dx_region_check_limit(region->url.path, bytes);
    if (status != DX_OK)
        return status;
    if (pwrite(region->fd, &mark, sizeof mark, 0) != (ssize_t)sizeof mark ||
        !clear_data(region->fd, sizeof mark, bytes) ||
        !dx_region_write_zeros(region->fd, 0, sizeof mark))
        return dx_fail_errno("%s: cannot be filled with zeros", region->url.path);
    return DX_OK;
}

static dx_status clear(const struct dx_region *region, uint64_t bytes, const char *url, bool force)
{
    enum content content;
    dx_status status = look_at_content(region, &content);
    if (status != DX_OK)
        return status;
    bool named = region->url.transport == &dx_transport_shm;
    if (content == IS_BLANK && !named) {
        (void)printf("%s: is blank already, %" PRIu64 " bytes\n", url, bytes);
        return DX_OK;
    }
    if (content != IS_DX && !force)
        return dx_fail(DX_ERR_NOT_DX,
                       "%s: does not begin as a region of dx and is left as it was; -force if you "
                       "know that it was one",
                       region->url.path);
    if (!named) {
        status = make_blank(region, bytes);
        if (status == DX_OK)
            (void)printf("%s: is blank again, %" PRIu64 " bytes\n", url, bytes);
        return status;
    }
    if (unlink(region->url.path) != 0)
        return dx_fail_errno("%s: cannot be removed", region->url.path);
    (void)printf("%s: removed, %" PRIu64 " bytes\n", url, bytes);
    return DX_OK;
}

dx_status reset_one(const char *text, bool force)
{
    struct dx_url url;
    struct dx_region region = {.fd = -1};
    uint64_t bytes = 0;
    dx_status status = dx_url_parse(text, &url);
    if (status == DX_OK)
        status = open_locked(&url, &region, &bytes);
    if (status == DX_OK)
        status = clear(&region, bytes, text, force);
    dx_region_close(&region);
    return status;
}

int tool_reset(int argc, char **argv)
{
    bool force = false;
    bool all_dead = false;
    bool yes = false;
    const struct tool_syntax syntax = {.verb = "reset",
                                       .usage = usage,
                                       .flags = {{.name = "force", .set = &force},
                                                 {.name = "all-dead", .set = &all_dead},
                                                 {.name = "yes", .set = &yes}}};
    int code = tool_parse(&syntax, argc, argv);
    if (code < 0)
        code = all_dead ? tool_expect_prefix(&syntax, argc) : tool_expect_url(&syntax, argc);
    if (code < 0 && (all_dead ? force : yes))
        code = tool_wrong_value(&syntax, "-yes goes with -all-dead, and -force with a URL",
                                "otherwise");
    if (code >= 0)
        return code;
    if (all_dead) {
        code = reset_all(argv[optind], yes);
        int ended = tool_end_output("reset");
        return code != TOOL_OK ? code : ended;
    }
    look_end_if_cut_short();
    dx_status status = reset_one(argv[optind], force);
    return status == DX_OK ? tool_end_output("reset") : tool_fail("reset", status);
}
