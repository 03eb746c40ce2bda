/* SPDX-License-Identifier: Apache-2.0 */
/* A process that observes a region: it must find that it can change nothing there. */
#ifndef DX_TEST_OBSERVER_H
#define DX_TEST_OBSERVER_H

#include "users.h"

#define BURSTS 200 /* of calls, 4,000 in all, between two of its looks */

/* An observer. Reports what it finds and, told so, what has been called since. */
#define OBSERVER_READ_ONLY 'r'
#define OBSERVER_COUNTS 'n'

/* Every mapping of the region, and there is one, is shared and for reading only. */
static inline bool maps_read_only(const char *file)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    int count = 0;
    bool only = true;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, file) == NULL)
            continue;
        count++;
        only = only && strstr(line, " r--s ") != NULL;
    }
    if (maps != NULL)
        (void)fclose(maps);
    return count == 1 && only;
}

static inline int write_into(void *user)
{
    /* What a sanitizer would do with it is of no interest. */
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile unsigned char *)user = 1;
    return 0;
}

static inline bool write_faults(struct dx_channel *observer)
{
    int status = test_in_child(write_into, observer->region.base);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static inline bool cannot_be_made_writable(const struct dx_channel *observer)
{
    int fd = dx_channel_fd(observer);
    return mprotect(observer->region.base, 4096, PROT_READ | PROT_WRITE) != 0 &&
           mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && write(fd, "x", 1) < 0 &&
           ftruncate(fd, 0) != 0;
}

static inline int observe_as_told(const char *url, const char *file)
{
    struct dx_channel *observer = NULL;
    struct dx_stats stats;
    uint64_t seen = 0;
    char command;
    if (dx_observe(url, &observer) != DX_OK)
        return 100;
    bool sealed =
        maps_read_only(file) && write_faults(observer) && cannot_be_made_writable(observer);
    child_report(sealed ? OBSERVER_READ_ONLY : 'w');
    while (read(CHILD_COMMANDS, &command, 1) == 1 && command != 'q') {
        if (dx_stats_read(observer, DX_STATS_HOST_CALLERS, &stats) != DX_OK)
            return 101;
        child_report(stats.calls == seen + BURSTS * CHILD_BURST ? OBSERVER_COUNTS : 'x');
        seen = stats.calls;
    }
    return -(int)dx_close(observer);
}

#endif
