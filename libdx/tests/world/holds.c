/* SPDX-License-Identifier: Apache-2.0 */
#include "holds.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "fail.h"

#define NOTHING_CHANGES_NS 5000000000ll

/* Entries of a folder, of those that hold this text; NULL: of all. -1: there is no such folder. */
static long count_entries(const char *folder, const char *text)
{
    DIR *d = opendir(folder);
    if (d == NULL)
        return -1;
    long count = 0;
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL)
        count += entry->d_name[0] != '.' || strncmp(entry->d_name, ".dx", 3) == 0
                     ? text == NULL || strstr(entry->d_name, text) != NULL
                     : 0;
    (void)closedir(d);
    return count;
}

static long count_mappings(const char *folder, const char *tag)
{
    char line[4096];
    long count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, tag) != NULL || strstr(line, folder) != NULL ||
                 strstr(line, "/memfd:dx") != NULL || strstr(line, "/dev/shm/#") != NULL;
    if (maps != NULL)
        (void)fclose(maps);
    return count;
}

struct holds holds_now(const char *folder, const char *tag)
{
    return (struct holds){
        .blocks = world_blocks(),
        .descriptors = count_entries("/proc/self/fd", NULL),
        .mappings = count_mappings(folder, tag),
        .threads = count_entries("/proc/self/task", NULL),
        .names = count_entries(folder, NULL) + count_entries("/dev/shm", tag),
    };
}

bool holds_equal(const struct holds *before, const struct holds *after, char *text, size_t bytes)
{
    const struct {
        const char *what;
        long before;
        long after;
    } kinds[] = {
        {"blocks of memory", before->blocks, after->blocks},
        {"descriptors", before->descriptors, after->descriptors},
        {"mappings", before->mappings, after->mappings},
        {"threads", before->threads, after->threads},
        /* A name that a dead process left may go before an operation fails. */
        {"names", before->names, after->names > before->names ? after->names : before->names},
    };
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].before != kinds[i].after && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%ld %s were %ld",
                                     used != 0 ? ", " : "", kinds[i].after, kinds[i].what,
                                     kinds[i].before);
    return used == 0;
}

bool holds_settle(const struct holds *before, const char *folder, const char *tag, char *text,
                  size_t bytes)
{
    char other[256];
    struct holds last = holds_now(folder, tag);
    int64_t until = dx_clock_ns() + NOTHING_CHANGES_NS;
    while (!holds_equal(before, &last, text, bytes)) {
        (void)sched_yield();
        struct holds now = holds_now(folder, tag);
        if (!holds_equal(&last, &now, other, sizeof other))
            until = dx_clock_ns() + NOTHING_CHANGES_NS;
        else if (dx_clock_ns() > until)
            return false;
        last = now;
    }
    return true;
}
