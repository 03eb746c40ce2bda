/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"
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

static uint32_t quota_in(const char *folder)
{
    char path[2 * PATH_BYTES];
    char text[64] = "";
    (void)snprintf(path, sizeof path, CGROUPS "%s/cpu.max", folder);
    FILE *file = dx_fd_read_text(path);
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    (void)fclose(file);
    return dx_cpus_of_quota(text);
}

/* The smallest quota from our cgroup (version 2) up to the root; 0: none. */
static uint32_t quota(void)
{
    char line[PATH_BYTES];
    char folder[PATH_BYTES] = "";
    FILE *file = dx_fd_read_text("/proc/self/cgroup");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::/", 4) == 0)
            (void)snprintf(folder, sizeof folder, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    (void)fclose(file);
    uint32_t least = 0;
    for (char *end; (end = strrchr(folder, '/')) != NULL; *end = '\0') {
        uint32_t here = quota_in(folder);
        if (here != 0 && (least == 0 || here < least))
            least = here;
    }
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
