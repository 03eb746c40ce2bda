/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <inttypes.h>

static void check_user(struct doctor *d)
{
    uint32_t user = d->probes->user;
    struct finding *f = doctor_add(d, "user", DOCTOR_OK, "user %" PRIu32, user);
    if (user == 0)
        doctor_append(f, " (root): may map the memory of devices, but the regions of another user "
                         "are not its own");
    else
        doctor_append(f, ": the memory of devices (sysfs resource files, /dev/vfio) is root's "
                         "unless it was given away");
}

void doctor_examine(struct doctor *d)
{
    static void (*const checks[])(struct doctor *) = {
        check_user,
        doctor_check_cpus,
        doctor_check_quota,
        doctor_check_hypervisor,
        doctor_check_waiting,
        doctor_check_kvm,
        doctor_check_memory,
        doctor_check_limits,
        doctor_check_names,
        doctor_check_lockdown,
        doctor_check_devices,
        doctor_check_vfio,
        doctor_check_counters,
    };
    d->count = 0;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](d);
}
