/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware performance counters, which the experiments show beside their figures. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "doctor.h"

void doctor_check_counters(struct doctor *d)
{
    int64_t paranoid;
    struct finding *f;
    bool known =
        doctor_read_number(doctor_path(d, "/proc/sys/kernel/perf_event_paranoid"), &paranoid);
    int error = d->probes->cycles();
    if (error == 0) {
        f = doctor_add(d, "counters", DOCTOR_OK, "CPU cycles can be counted");
    } else if (error == EACCES || error == EPERM) {
        f = doctor_add(d, "counters", DOCTOR_WARNING, "this user may not count CPU cycles");
        doctor_advise(f, "sysctl kernel.perf_event_paranoid=1; in a container also "
                         "--cap-add PERFMON");
    } else {
        f = doctor_add(d, "counters", DOCTOR_WARNING, "CPU cycles cannot be counted: %s",
                       error == ENOENT ? "there is no hardware for it, which is usual in a VM"
                                       : strerror(error));
        doctor_advise(f, "cache misses and cycles of the experiments stay empty (NA); everything "
                         "else works");
    }
    if (known)
        doctor_append(f, "; perf_event_paranoid is %" PRId64, paranoid);
}
