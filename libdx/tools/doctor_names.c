/* SPDX-License-Identifier: Apache-2.0 */
/* What takes names away from those who use them, and whether processes know their kernel. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "doctor.h"

/* Users below it are the system's, whose names logind leaves alone. */
#define FIRST_USER 1000u
#define KEY "RemoveIPC="
#define FILES 64

/* The last line of a file that sets it; `removes` stays as it was if there is none. */
static void read_settings(struct doctor_path path, bool *removes)
{
    static const char *const no[] = {"no", "false", "off", "0", "n", "f"};
    char text[8192];
    char *rest = NULL;
    if (!doctor_read(path, text, sizeof text))
        return;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t");
        if (strncmp(line, KEY, strlen(KEY)) != 0)
            continue;
        const char *value = line + strlen(KEY) + strspn(line + strlen(KEY), " \t");
        size_t length = strcspn(value, " \t\r");
        *removes = true;
        for (size_t i = 0; i < sizeof no / sizeof *no; i++)
            if (strlen(no[i]) == length && strncasecmp(value, no[i], length) == 0)
                *removes = false;
    }
}

/* The parts of a folder, in the order of their names, in which a later one overrules. */
static void read_parts(const struct doctor *d, const char *folder, bool *removes)
{
    struct dirent **entries;
    int count = scandir(doctor_path(d, "%s", folder).text, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (i < FILES && strstr(entries[i]->d_name, ".conf") != NULL)
            read_settings(doctor_path(d, "%s/%s", folder, entries[i]->d_name), removes);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* The name of a user in /etc/passwd; empty if it is not there. */
static void read_user_name(const struct doctor *d, uint32_t user, char *name, size_t bytes)
{
    char line[512];
    FILE *file = fopen(doctor_path(d, "/etc/passwd").text, "re");
    name[0] = '\0';
    while (file != NULL && name[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        const char *password = strchr(line, ':');
        const char *number = password != NULL ? strchr(password + 1, ':') : NULL;
        if (number != NULL && strtoul(number + 1, NULL, 10) == user)
            (void)snprintf(name, bytes, "%.*s", (int)(password - line), line);
    }
    if (file != NULL)
        (void)fclose(file);
}

/* Does logind keep what this user has, though no session is left? */
static bool lingers(const struct doctor *d, uint32_t user)
{
    char name[64];
    read_user_name(d, user, name, sizeof name);
    return name[0] != '\0' && doctor_exists(doctor_path(d, "/var/lib/systemd/linger/%s", name));
}

static void check_names(struct doctor *d)
{
    bool removes = true; /* what logind does unless it is told */
    if (!doctor_exists(doctor_path(d, "/run/systemd/seats"))) {
        (void)doctor_add(d, "names", DOCTOR_OK, "no systemd-logind, which could remove them");
        return;
    }
    read_settings(doctor_path(d, "/etc/systemd/logind.conf"), &removes);
    read_parts(d, "/usr/lib/systemd/logind.conf.d", &removes);
    read_parts(d, "/etc/systemd/logind.conf.d", &removes);
    read_parts(d, "/run/systemd/logind.conf.d", &removes);
    uint32_t user = d->probes->user;
    if (!removes || user < FIRST_USER) {
        (void)doctor_add(d, "names", DOCTOR_OK,
                         removes ? "RemoveIPC=yes, from which users of the system are exempt"
                                 : "RemoveIPC=no: they stay when a user's last session ends");
        return;
    }
    if (lingers(d, user)) {
        (void)doctor_add(d, "names", DOCTOR_OK,
                         "RemoveIPC=yes, from which user %u is exempt by lingering",
                         (unsigned)user);
        return;
    }
    struct finding *f = doctor_add(d, "names", DOCTOR_WARNING,
                                   "RemoveIPC=yes: when the last session of user %u ends, "
                                   "systemd-logind removes this user's names in /dev/shm, also of "
                                   "programs that run on",
                                   (unsigned)user);
    doctor_advise(f,
                  "loginctl enable-linger for that user, a user below %u, unix: URLs, or "
                  "RemoveIPC=no in /etc/systemd/logind.conf",
                  FIRST_USER);
}

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* Some containers are shown a boot_id of their own, by a mount over the kernel's. */
static bool has_private_boot_id(const struct doctor *d)
{
    char line[1024];
    bool found = false;
    FILE *mounts = fopen(doctor_path(d, "/proc/self/mountinfo").text, "re");
    while (mounts != NULL && !found && fgets(line, sizeof line, mounts) != NULL)
        found = strstr(line, " " BOOT_ID " ") != NULL;
    if (mounts != NULL)
        (void)fclose(mounts);
    return found;
}

/* Is the kernel older than 5.13, in which only the boot_id tells kernels apart? */
static bool needs_boot_id(const struct doctor *d)
{
    char release[64];
    char *end;
    if (!doctor_read(doctor_path(d, "/proc/sys/kernel/osrelease"), release, sizeof release))
        return false;
    long major = strtol(release, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    return major < 5 || (major == 5 && minor < 13);
}

static void check_kernel(struct doctor *d)
{
    struct finding *f;
    bool is_private = has_private_boot_id(d);
    if (d->probes->kernel() && is_private && needs_boot_id(d)) {
        f = doctor_add(d, "kernel", DOCTOR_WARNING,
                       "this container has a boot_id of its own: it and what runs beside it take "
                       "each other for sides in VMs, and poll");
        doctor_advise(f, "do not mount anything over " BOOT_ID ", or take Linux 5.13 or newer");
        return;
    }
    if (d->probes->kernel()) {
        (void)doctor_add(d, "kernel", DOCTOR_OK, "processes can tell which kernel they are under%s",
                         is_private ? ", though this container has a boot_id of its own" : "");
        return;
    }
    f = doctor_add(d, "kernel", DOCTOR_WARNING,
                   "which kernel this is cannot be found out: a side whose lock is "
                   "not seen is taken for one in "
                   "a VM, and polled for");
    doctor_advise(f, "let /proc/sys/kernel/random/boot_id be read (ProcSubset=all), or take Linux "
                     "5.13 or newer");
}

void doctor_check_names(struct doctor *d)
{
    check_names(d);
    check_kernel(d);
}
