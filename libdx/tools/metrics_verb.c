/* SPDX-License-Identifier: Apache-2.0 */
/* dx metrics: the command. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listing.h"
#include "look.h"
#include "metrics.h"
#include "options.h"
#include "tool.h"

/* clang-format off */
static const char usage[] =
    "dx metrics [-o FILE] [URL...]\n"
    "\n"
    "Prints what dx info shows as metrics, for the textfile collector of Prometheus'\n"
    "node_exporter: the text exposition format 0.0.4. Without a URL it does so for every region\n"
    "of this user that \"dx ls\" finds and can read. It only reads.\n"
    "\n"
    "  dx_up                      1 if the region could be read, else 0\n"
    "  dx_region_bytes, dx_region_slots\n"
    "  dx_peer_open               1 if that side is there, and lives\n"
    "  dx_peer_heartbeats_total, dx_peer_slots_used\n"
    "  dx_calls_total, dx_errors_total, dx_timeouts_total\n"
    "  dx_request_bytes_total, dx_response_bytes_total\n"
    "  dx_waits_total             by phase: spin, yield, park\n"
    "  dx_parks_total, dx_park_seconds_total, dx_rings_total\n"
    "  dx_looks_total, dx_yields_total, dx_spin_limit_looks\n"
    "  dx_spurious_wakeups_total, dx_rescued_wakeups_total\n"
    "\n"
    "Labels: url, place (of a host with several guests), side (host, guest), role (caller,\n"
    "server). A region that begins anew under the same URL begins to count at 0 again.\n"
    "\n"
    "  -o FILE  write FILE, which then holds all of it at once (by a rename), mode 0644. The\n"
    "           collector reads names that end in .prom\n"
    "\n"
    "Exit codes: 0 done, also if a region cannot be read (dx_up says so, and a text on standard\n"
    "error why); 1 it could not be written, or not everything could be looked at: FILE is as it\n"
    "was then; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx metrics shm:demo\n"
    "  dx metrics -o /var/lib/prometheus/node-exporter/dx.prom     (from cron or a timer)\n"
    "  dx metrics | promtool check metrics\n";
/* clang-format on */

struct attempt {
    const char *url;
    struct look look;
    struct report reports[DX_GUESTS_MAX];
    uint32_t places;
    dx_status status;
};

static void look(void *user)
{
    struct attempt *a = user;
    a->status = look_open(&a->look, a->url, a->url);
    if (a->status == DX_OK)
        a->status = look_read(&a->look, a->reports);
    if (a->status == DX_OK)
        a->places = a->look.places;
    look_close(&a->look);
}

/* False only if there is no memory. */
static bool read_url(const char *url, struct metrics_region *region)
{
    struct attempt *a = calloc(1, sizeof *a);
    *region = (struct metrics_region){.url = url};
    if (a == NULL)
        return false;
    a->url = url;
    if (!look_guarded(look, a)) {
        a->places = 0;
        (void)fprintf(stderr, "dx metrics: %s: was cut short while it was read\n", url);
    } else if (a->status != DX_OK) {
        (void)tool_fail("metrics", a->status);
    }
    region->reports = a->places != 0 ? malloc(a->places * sizeof *region->reports) : NULL;
    if (region->reports != NULL) {
        region->places = a->places;
        memcpy(region->reports, a->reports, a->places * sizeof *region->reports);
    }
    bool done = a->places == 0 || region->reports != NULL;
    free(a);
    return done;
}

static int print_urls(char **urls, size_t count, FILE *out)
{
    int code = TOOL_OK;
    struct metrics_region *regions = calloc(count, sizeof *regions);
    for (size_t i = 0; regions != NULL && code == TOOL_OK && i < count; i++)
        code = read_url(urls[i], &regions[i]) ? TOOL_OK : TOOL_FAILED;
    if (regions != NULL && code == TOOL_OK)
        metrics_print(regions, count, out);
    else
        (void)fputs("dx metrics: no memory\n", stderr);
    for (size_t i = 0; regions != NULL && i < count; i++)
        free(regions[i].reports);
    code = regions != NULL ? code : TOOL_FAILED;
    free(regions);
    return code;
}

/* Two series must not have the same labels: memory without a name has no URL that tells it from
 * others, and is left out. */
static int print_found(FILE *out)
{
    struct listings all;
    size_t count = 0;
    if (!listing_make(NULL, &all)) {
        (void)fputs("dx metrics: no memory\n", stderr);
        return TOOL_FAILED;
    }
    listing_tell_sockets(&all, "metrics", "memory that is served at one is left out");
    struct metrics_region *regions = calloc(all.count + 1, sizeof *regions);
    for (size_t i = 0; regions != NULL && i < all.count; i++) {
        const struct listing *l = &all.items[i];
        if (l->places != 0 && strncmp(l->found->url, "memfd:", 6) != 0)
            regions[count++] = (struct metrics_region){l->found->url, l->places, l->reports};
    }
    int code = regions != NULL ? TOOL_OK : TOOL_FAILED;
    if (regions != NULL)
        metrics_print(regions, count, out);
    else
        (void)fputs("dx metrics: no memory\n", stderr);
    if (code == TOOL_OK && all.problem[0] != '\0') {
        (void)fprintf(stderr, "dx metrics: %s; more may be there\n", all.problem);
        code = TOOL_FAILED;
    }
    free(regions);
    listing_free(&all);
    return code;
}

static int fail_file(const char *path)
{
    (void)fprintf(stderr, "dx metrics: %s: cannot be written: %s\n", path, strerror(errno));
    return TOOL_FAILED;
}

/* A reader sees the old file or the new one, never a part. What is no file, such as /dev/stdout, is
 * not replaced by one. */
static int write_file(const char *path, char **urls, size_t count)
{
    struct stat before;
    bool is_there = stat(path, &before) == 0;
    if (!is_there && errno != ENOENT)
        return fail_file(path);
    if (is_there && !S_ISREG(before.st_mode)) {
        (void)fprintf(
            stderr, "dx metrics: %s: is no regular file; without -o it prints to standard output\n",
            path);
        return TOOL_FAILED;
    }
    size_t bytes = strlen(path) + 32;
    char *temporary = malloc(bytes);
    if (temporary == NULL)
        return fail_file(path);
    (void)snprintf(temporary, bytes, "%s.%d", path, (int)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *out = fd >= 0 && fchmod(fd, 0644) == 0 ? fdopen(fd, "w") : NULL;
    if (out == NULL) {
        int code = fail_file(path);
        if (fd >= 0) {
            (void)close(fd);
            (void)unlink(temporary);
        }
        free(temporary);
        return code;
    }
    int code = count != 0 ? print_urls(urls, count, out) : print_found(out);
    bool failed = ferror(out) != 0;
    failed |= fclose(out) != 0;
    if (code == TOOL_OK && (failed || rename(temporary, path) != 0))
        code = fail_file(path);
    if (code != TOOL_OK)
        (void)unlink(temporary);
    free(temporary);
    return code;
}

int tool_metrics(int argc, char **argv)
{
    const char *path = NULL;
    const struct tool_syntax syntax = {
        .verb = "metrics", .usage = usage, .flags = {{.name = "o", .value = &path}}};
    int code = tool_parse(&syntax, argc, argv);
    struct dx_url url;
    if (code >= 0)
        return code;
    for (int i = optind; i < argc; i++) {
        if (dx_url_parse(argv[i], &url) != DX_OK)
            return tool_fail("metrics", DX_ERR_URL);
        for (int j = optind; j < i; j++)
            if (strcmp(argv[i], argv[j]) == 0)
                return tool_wrong_value(&syntax, "each URL can be given once", argv[i]);
    }
    char **urls = argv + optind;
    size_t count = (size_t)(argc - optind);
    if (path != NULL)
        return write_file(path, urls, count);
    code = count != 0 ? print_urls(urls, count, stdout) : print_found(stdout);
    int ended = tool_end_output("metrics");
    return code != TOOL_OK ? code : ended;
}
