/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_cpus.h"
#include "fd.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define CGROUPS "/sys/fs/cgroup"

uint32_t dx_cpus_of_quota(const char *cpu_max)
{
    char *end;
    unsigned long long quota_us = strtoull(cpu_max, &end, 10);
    if (end == cpu_max)
        return 0; /* "max 100000" */
    unsigned long long period_us = strtoull(end, NULL, 10);
    if (period_us == 0)
        return 0;
    unsigned long long cpus = quota_us / period_us;
    return cpus == 0 ? 1 : cpus > UINT32_MAX ? UINT32_MAX : (uint32_t)cpus;
}

/* Too large for a small stack. */
struct names {
    char line[PATH_BYTES];
    char folder[PATH_BYTES];
    char file[2 * PATH_BYTES];
};

static uint32_t quota_in(struct names *n)
{
    char text[64] = "";
    (void)snprintf(n->file, sizeof n->file, CGROUPS "%s/cpu.max", n->folder);
    FILE *file = dx_fd_read_text(n->file);
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    return dx_cpus_of_quota(text);
}

static uint32_t least_quota(struct names *n)
{
    FILE *file = dx_fd_read_text("/proc/self/cgroup");
    if (file == NULL)
        return 0;
    while (fgets(n->line, sizeof n->line, file) != NULL)
        if (strncmp(n->line, "0::/", 4) == 0)
            (void)snprintf(n->folder, sizeof n->folder, "%.*s", (int)strcspn(n->line + 3, "\n"),
                           n->line + 3);
    (void)fclose(file);
    uint32_t least = 0;
    for (char *end; (end = strrchr(n->folder, '/')) != NULL; *end = '\0') {
        uint32_t here = quota_in(n);
        if (here != 0 && (least == 0 || here < least))
            least = here;
    }
    return least;
}

/* The smallest quota from our cgroup (version 2) up to the root; 0: none, or it cannot be read. */
static uint32_t quota(void)
{
    struct names *n = calloc(1, sizeof *n);
    uint32_t least = n != NULL ? least_quota(n) : 0;
    free(n);
    return least;
}

uint32_t dx_cpus(void)
{
    cpu_set_t set;
    uint32_t cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        cpus = (uint32_t)CPU_COUNT(&set);
    uint32_t limit = quota();
    return limit != 0 && limit < cpus ? limit : cpus;
}
