/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: measure_idle CHANNELS URL [SECONDS]
 *
 * One thread serves so many channels, on which nobody calls, and says what that costs: all threads
 * of the process, in percent of a CPU, and how often a second one of them slept. A %d in the URL is
 * the number of the channel: shm:dx-idle-%d, unix:/tmp/dx-idle-%d, memfd:.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "clock.h"
#include "dx.h"

#define CHANNELS_MAX 256
#define SETTLE_NS 3000000000ll /* until all sleeps are as long as they become */

static int32_t refuse(void *user, const struct dx_request *request, struct dx_response *response)
{
    (void)user;
    (void)request;
    (void)response;
    return -1;
}

static void check(dx_status status, const char *what)
{
    if (status != DX_OK)
        errx(1, "%s: %s (%s)", what, dx_status_string(status), dx_last_error());
}

/* Of this process. */
static void count(int64_t *cpu_ns, long *sleeps)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    *cpu_ns = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000ll +
              (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000ll;
    *sleeps = u.ru_nvcsw;
}

/* The URL with the channel's number in place of %d. */
static void url_of(const char *pattern, unsigned number, char *url, size_t room)
{
    const char *place = strstr(pattern, "%d");
    if (place == NULL)
        (void)snprintf(url, room, "%s", pattern);
    else
        (void)snprintf(url, room, "%.*s%u%s", (int)(place - pattern), pattern, number, place + 2);
}

int main(int argc, char **argv)
{
    static struct dx_channel *channels[CHANNELS_MAX];
    static struct dx_server *servers[CHANNELS_MAX];
    const struct dx_config config = {.guest_slots = 4};
    unsigned channels_count = argc > 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    int64_t seconds = argc > 3 ? strtol(argv[3], NULL, 10) : 10;
    if (channels_count == 0 || channels_count > CHANNELS_MAX || seconds < 1)
        errx(2, "usage: %s CHANNELS (1 to %d) URL [SECONDS]", argv[0], CHANNELS_MAX);
    for (unsigned i = 0; i < channels_count; i++) {
        char url[128];
        url_of(argv[2], i, url, sizeof url);
        check(dx_create(url, &config, &channels[i]), url);
        check(dx_server_open(channels[i], refuse, NULL, NULL, &servers[i]), "serve");
    }
    uint32_t which;
    int64_t cpu_before;
    int64_t cpu_after;
    long before;
    long after;
    (void)dx_servers_wait(servers, channels_count, SETTLE_NS, &which);
    count(&cpu_before, &before);
    int64_t start = dx_clock_ns();
    (void)dx_servers_wait(servers, channels_count, seconds * 1000000000ll, &which);
    double elapsed_ns = (double)(dx_clock_ns() - start);
    count(&cpu_after, &after);
    (void)printf("%u channels, %s: %.3f %% of a CPU, %.0f sleeps a second\n", channels_count,
                 argv[2], 100.0 * (double)(cpu_after - cpu_before) / elapsed_ns,
                 (double)(after - before) * 1e9 / elapsed_ns);
    for (unsigned i = channels_count; i-- > 0;) {
        check(dx_server_close(servers[i]), "close a server");
        check(dx_close(channels[i]), "close");
    }
}
