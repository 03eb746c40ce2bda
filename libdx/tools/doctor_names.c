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

static void check_kernel(struct doctor *d)
{
    if (d->probes->kernel()) {
        (void)doctor_add(d, "kernel", DOCTOR_OK, "processes can tell which kernel they are under");
        return;
    }
    struct finding *f = doctor_add(d, "kernel", DOCTOR_WARNING,
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
