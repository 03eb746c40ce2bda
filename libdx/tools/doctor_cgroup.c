/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time that control groups grant, of version 2 and of version 1. */
#include <stdlib.h>
#include <string.h>

#include "doctor.h"

/* CPUs that quota and period, both in microseconds, amount to; 0: no limit ("max", -1). */
static double cpus_of(const char *quota_text, const char *period_text)
{
    double quota = strtod(quota_text, NULL);
    double period = strtod(period_text, NULL);
    return quota > 0 && period > 0 ? quota / period : 0;
}

static double tighter(double a, double b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static double quota_in_v2(const struct doctor *d, const char *mount, const char *group)
{
    char text[64];
    (void)doctor_read(doctor_path(d, "/sys/fs/cgroup%s%s/cpu.max", mount, group), text,
                      sizeof text);
    const char *space = strchr(text, ' ');
    return cpus_of(text, space != NULL ? space : "");
}

static double quota_in_v1(const struct doctor *d, const char *mount, const char *group)
{
    char quota[64];
    char period[64];
    (void)doctor_read(doctor_path(d, "/sys/fs/cgroup%s%s/cpu.cfs_quota_us", mount, group), quota,
                      sizeof quota);
    (void)doctor_read(doctor_path(d, "/sys/fs/cgroup%s%s/cpu.cfs_period_us", mount, group), period,
                      sizeof period);
    return cpus_of(quota, period);
}

/* The tightest limit of a group and of those above it. The root comes last: it is where a
 * container sees its own group. */
static double quota_upwards(const struct doctor *d, char *group, const char *const *mounts,
                            double (*quota_in)(const struct doctor *, const char *, const char *))
{
    double least = 0;
    for (;;) {
        for (const char *const *mount = mounts; *mount != NULL; mount++)
            least = tighter(least, quota_in(d, *mount, group));
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* Whether a line of /proc/self/cgroup, "1:cpu,cpuacct:/job", is that of the cpu controller. */
static bool has_cpu(const char *controllers, size_t bytes)
{
    while (bytes >= 3) {
        size_t word = 0;
        while (word < bytes && controllers[word] != ',')
            word++;
        if (word == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
        if (word >= bytes)
            return false;
        controllers += word + 1;
        bytes -= word + 1;
    }
    return false;
}

static double quota_of_line(const struct doctor *d, char *line)
{
    static const char *const v2[] = {"", "/unified", NULL};
    static const char *const v1[] = {"/cpu", "/cpu,cpuacct", NULL};
    line[strcspn(line, "\n")] = '\0';
    const char *controllers = strchr(line, ':');
    if (controllers == NULL)
        return 0;
    char *group = strchr(++controllers, ':');
    if (group == NULL)
        return 0;
    size_t bytes = (size_t)(group++ - controllers);
    if (bytes == 0)
        return quota_upwards(d, group, v2, quota_in_v2);
    return has_cpu(controllers, bytes) ? quota_upwards(d, group, v1, quota_in_v1) : 0;
}

void doctor_check_quota(struct doctor *d)
{
    char line[DOCTOR_PATH_BYTES];
    double least = 0;
    FILE *file = fopen(doctor_path(d, "/proc/self/cgroup").text, "re");
    if (file == NULL) {
        (void)doctor_add(d, "quota", DOCTOR_OK, "no control groups");
        return;
    }
    while (fgets(line, sizeof line, file) != NULL)
        least = tighter(least, quota_of_line(d, line));
    (void)fclose(file);
    if (least == 0) {
        (void)doctor_add(d, "quota", DOCTOR_OK, "control groups set no limit on CPU time");
        return;
    }
    enum doctor_level level = least < 1 ? DOCTOR_PROBLEM : least < 2 ? DOCTOR_WARNING : DOCTOR_OK;
    struct finding *f =
        doctor_add(d, "quota", level, "control groups grant the time of %.2f CPUs", least);
    if (level != DOCTOR_OK)
        doctor_advise(f, "two sides that spin use up two: then all threads of the group stop for "
                         "the rest of each period (100 ms); raise cpu.max, or let the sides park "
                         "early (preset low-power)");
}
