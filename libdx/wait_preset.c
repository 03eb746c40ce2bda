/* SPDX-License-Identifier: Apache-2.0 */
/* Named wait strategies, and the check that every strategy passes. tuning/NAME.toml holds the
 * same values for reading and changing; a test keeps the two equal. */
#include <inttypes.h>
#include <string.h>

#include "dx_wait.h"
#include "error.h"
#include "wait_fields.h"

struct preset {
    const char *name;
    struct dx_wait wait;
};

static const struct preset presets[] = {
    {"balanced",
     {.spin_min = 64,
      .spin_max = 10000,
      .spin_start = 2000,
      .spin_inc = 200,
      .spin_dec = 500,
      .yield_every = 64,
      .burst = 16,
      .relax = DX_RELAX_PAUSE,
      .park = DX_PARK_FUTEX,
      .adapt = DX_ADAPT_STEP,
      .park_timeout_ns = 1000000000,
      .poll_ns = 50000,
      .peer_timeout_ns = 1000000000}},
    {"latency",
     {.spin_min = 20000,
      .spin_max = 200000,
      .spin_start = 100000,
      .spin_inc = 10000,
      .spin_dec = 1000,
      .yield_every = 64,
      .burst = 8,
      .relax = DX_RELAX_PAUSE,
      .park = DX_PARK_FUTEX,
      .adapt = DX_ADAPT_STEP,
      .park_timeout_ns = 1000000000,
      .poll_ns = 50000,
      .peer_timeout_ns = 1000000000}},
    {"throughput",
     {.spin_min = 64,
      .spin_max = 20000,
      .spin_start = 2000,
      .spin_inc = 400,
      .spin_dec = 500,
      .yield_every = 32,
      .burst = 64,
      .relax = DX_RELAX_PAUSE,
      .park = DX_PARK_FUTEX,
      .adapt = DX_ADAPT_STEP,
      .park_timeout_ns = 1000000000,
      .poll_ns = 50000,
      .peer_timeout_ns = 1000000000}},
    {"low-power",
     {.spin_min = 0,
      .spin_max = 5000,
      .spin_start = 1000,
      .spin_inc = 250,
      .spin_dec = 1500,
      .yield_every = 64,
      .burst = 16,
      .relax = DX_RELAX_PAUSE,
      .park = DX_PARK_FUTEX,
      .adapt = DX_ADAPT_STEP,
      .park_timeout_ns = 1000000000,
      .poll_ns = 1000000,
      .peer_timeout_ns = 1000000000}},
};

#define PRESETS (sizeof presets / sizeof *presets)

const char *dx_wait_preset_name(unsigned i)
{
    return i < PRESETS ? presets[i].name : NULL;
}

dx_status dx_wait_preset(const char *name, struct dx_wait *wait)
{
    for (unsigned i = 0; name != NULL && i < PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *wait = presets[i].wait;
            return DX_OK;
        }
    }
    return dx_fail(DX_ERR_INVALID,
                   "wait strategy \"%s\" is no preset: take balanced, latency, throughput or "
                   "low-power",
                   name != NULL ? name : "(null)");
}

static dx_status in_range(const char *field, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high)
        return DX_OK;
    return dx_fail(DX_ERR_INVALID,
                   "wait strategy: %s is %" PRId64 ", allowed are %" PRId64 " to %" PRId64, field,
                   value, low, high);
}

dx_status dx_wait_check(const struct dx_wait *wait)
{
    dx_status status = DX_OK;
    for (unsigned i = 0; status == DX_OK && i < dx_wait_field_count; i++) {
        const struct dx_wait_field *f = &dx_wait_fields[i];
        int64_t value = dx_wait_field_get(f, wait);
        if (value != 0 || !f->zero)
            status = in_range(f->name, value, f->min, f->max);
    }
    if (status == DX_OK)
        status = in_range("spin_min", wait->spin_min, 0, wait->spin_max);
    if (status == DX_OK)
        status = in_range("spin_start", wait->spin_start, wait->spin_min, wait->spin_max);
    for (unsigned i = 0; status == DX_OK && i < sizeof wait->reserved / sizeof *wait->reserved; i++)
        status = in_range("reserved", (int64_t)wait->reserved[i], 0, 0);
    return status;
}
