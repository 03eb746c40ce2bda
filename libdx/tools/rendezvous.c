/* SPDX-License-Identifier: Apache-2.0 */
/* dx rendezvous: serves memory at a Unix socket for hosts, guests and virtual machines, and
 * outlives them. */
#include "../rendezvous.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../dx_status.h"
#include "../error.h"
#include "../fd_wait.h"
#include "../transport.h"
#include "signals.h"
#include "tool.h"

#define BYTES_MIN 4096u
#define BYTES_MAX (1ull << 40)

/* clang-format off */
static const char usage[] =
    "dx rendezvous [-bytes N] [-vectors N] [-v] PATH\n"
    "\n"
    "Serves a Unix socket at PATH. Everybody who joins gets the same memory and is told who\n"
    "else is there. Hosts and guests of dx join by the URL unix:PATH, virtual machines by\n"
    "  -chardev socket,path=PATH,id=dx -device ivshmem-doorbell,vectors=1,chardev=dx\n"
    "\n"
    "Without this program the host of a channel serves unix:PATH itself, and the memory ends\n"
    "with that host. With it, either side can be restarted, and the other goes on in the same\n"
    "memory.\n"
    "\n"
    "Only processes of the same user are let in. It prints \"ready\" when the socket is there.\n"
    "SIGINT or SIGTERM ends it and removes the socket.\n"
    "\n"
    "  -bytes N    size of the memory, a power of two; suffixes K, M and G (default 1M)\n"
    "  -vectors N  eventfds of each peer, 1 to 4 (default 1)\n"
    "  -v          say who joins and who leaves\n"
    "\n"
    "Exit codes: 0 ended by a signal, 1 the socket cannot be served, 2 wrong usage.\n"
    "\n"
    "Example: dx rendezvous -bytes 16M /run/user/1000/frames\n";
/* clang-format on */

struct options {
    uint64_t bytes;
    uint32_t vectors;
    bool verbose;
    const char *path;
};

static int wrong(const char *what, const char *value)
{
    (void)fprintf(stderr, "dx rendezvous: %s %s; \"dx rendezvous -h\" explains\n", what, value);
    return TOOL_USAGE;
}

/* A number with an optional suffix; 0 if it is none. */
static uint64_t parse_bytes(const char *text)
{
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9')
        return 0;
    uint64_t number = strtoull(text, &end, 10);
    static const char suffixes[] = "KMG";
    const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
    unsigned shift = suffix != NULL ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
    if (errno != 0 || (*end != '\0' && (suffix == NULL || end[1] != '\0')) ||
        number > BYTES_MAX >> shift)
        return 0;
    return number << shift;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {{"bytes", required_argument, NULL, 'b'},
                                          {"vectors", required_argument, NULL, 'c'},
                                          {"v", no_argument, NULL, 'v'},
                                          {"h", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct options){.bytes = 1u << 20, .vectors = 1};
    int option;
    optind = 1;
    while ((option = getopt_long_only(argc, argv, "", names, NULL)) >= 0) {
        switch (option) {
        case 'b':
            o->bytes = parse_bytes(optarg);
            if (o->bytes < BYTES_MIN || (o->bytes & (o->bytes - 1)) != 0)
                return wrong("-bytes takes a power of two from 4096 to 1024G, not", optarg);
            break;
        case 'c':
            o->vectors = (uint32_t)parse_bytes(optarg);
            if (o->vectors < 1 || o->vectors > DX_RENDEZVOUS_VECTORS_MAX)
                return wrong("-vectors takes 1 to 4, not", optarg);
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return TOOL_OK;
        default:
            return TOOL_USAGE;
        }
    }
    if (optind + 1 != argc)
        return wrong("needs one PATH, there are", optind == argc ? "none" : "more");
    o->path = argv[optind];
    return -1;
}

static bool say_joined(void *user, uint32_t id, int bell)
{
    const struct options *o = user;
    (void)close(bell);
    if (o->verbose)
        (void)fprintf(stderr, "dx rendezvous: peer %" PRIu32 " joined\n", id);
    return true;
}

static void say_left(void *user, uint32_t id)
{
    const struct options *o = user;
    if (o->verbose)
        (void)fprintf(stderr, "dx rendezvous: peer %" PRIu32 " left\n", id);
}

/* Until a signal ends it. */
static void serve(struct dx_rendezvous *server, int signals)
{
    struct pollfd waits[2] = {{.fd = dx_rendezvous_fd(server), .events = POLLIN},
                              {.fd = signals, .events = POLLIN}};
    while (waits[1].revents == 0) {
        if (dx_fd_wait(waits, 2, -1) > 0 && waits[0].revents != 0)
            dx_rendezvous_step(server);
    }
}

static dx_status open_and_serve(struct options *o, int signals)
{
    struct dx_region memory = {.fd = -1, .url = {.transport = &dx_transport_memfd, .fd = -1}};
    struct dx_rendezvous *server = NULL;
    dx_status status = dx_region_create_memfd(
        o->path, (struct dx_region_size){o->bytes, o->bytes, 1, 0}, o->bytes, &memory);
    /* Nobody is the host of this memory yet. */
    if (status == DX_OK)
        status = dx_region_unlock(memory.fd, DX_LOCK_HOST, o->path);
    const struct dx_rendezvous_config config = {.memory = memory.fd,
                                                .vectors = o->vectors,
                                                .self = -1,
                                                .joined = say_joined,
                                                .left = say_left,
                                                .user = o};
    if (status == DX_OK)
        status = dx_rendezvous_open(o->path, &config, &server);
    if (status == DX_OK)
        status = dx_rendezvous_publish(server);
    if (status == DX_OK) {
        (void)printf("ready\n");
        (void)fflush(stdout);
        serve(server, signals);
    }
    dx_rendezvous_close(server);
    dx_region_close(&memory);
    return status;
}

int tool_rendezvous(int argc, char **argv)
{
    struct options o;
    int code = parse(argc, argv, &o);
    if (code >= 0)
        return code;
    int signals = signals_take(false);
    dx_status status =
        signals >= 0 ? open_and_serve(&o, signals) : dx_fail_errno("signals cannot be waited for");
    if (status == DX_OK)
        return TOOL_OK;
    (void)fprintf(stderr, "dx rendezvous: %s: %s\n", dx_status_string(status), dx_last_error());
    return TOOL_FAILED;
}
