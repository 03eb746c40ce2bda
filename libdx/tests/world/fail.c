/* SPDX-License-Identifier: Apache-2.0 */
#include "fail.h"

#include <stdatomic.h>
#include <string.h>

static struct world_plan plan;
static struct world_report *report;
static _Atomic bool armed;
static _Atomic uint32_t calls;
static _Atomic(const char *) failing; /* the function at the point, once it was reached */

void world_arm(const struct world_plan *p, struct world_report *r)
{
    plan = *p;
    report = r;
    *r = (struct world_report){0};
    atomic_store(&calls, 0u);
    atomic_store(&failing, NULL);
    atomic_store(&armed, true);
}

void world_disarm(void)
{
    atomic_store(&armed, false);
}

const struct world_report *world_reported(void)
{
    return report;
}

/* A call that is interrupted again and again may be repeated again and again. */
static bool can_go_on(int error)
{
    return error != EINTR && error != EAGAIN && error != WORLD_SHORT;
}

/* What polls call, and what is called for each of many. */
static const char *const alike[] = {"fcntl(F_GETLK)", "epoll_wait", "futex", "sem_init",
                                    "readdir",        "readlink",   "stat"};
static _Atomic uint32_t alike_calls[sizeof alike / sizeof *alike];

static bool is_repeated(const char *function)
{
    for (size_t i = 0; plan.repeats != 0 && i < sizeof alike / sizeof *alike; i++)
        if (strcmp(function, alike[i]) == 0)
            return atomic_fetch_add(&alike_calls[i], 1u) >= plan.repeats;
    return false;
}

int world_error(const char *function, const int *errors, size_t count)
{
    if (!atomic_load(&armed))
        return 0;
    bool repeated = is_repeated(function);
    uint32_t number = atomic_fetch_add(&calls, repeated ? 0u : 1u) + 1;
    if (number == plan.point && !repeated) {
        report->errors = (uint32_t)count;
        report->error = plan.error < count ? errors[plan.error] : 0;
        report->function = function;
        atomic_store(&failing, function);
        return report->error;
    }
    const char *first = plan.on && number >= plan.point ? atomic_load(&failing) : NULL;
    bool again = first != NULL && strcmp(first, function) == 0 && can_go_on(report->error);
    return again ? report->error : 0;
}
