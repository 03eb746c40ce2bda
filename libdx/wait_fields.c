/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_fields.h"

#include <string.h>

#define LOOKS_MAX 1000000000

static const char *const relax_names[] = {"none", "pause", "hardware"};
static const char *const park_names[] = {"never", "futex", "sem", "poll", "doorbell"};
static const char *const adapt_names[] = {"off", "step", "cost", "load"};

#define FIELD(field) .name = #field, .offset = offsetof(struct dx_wait, field)
#define LOOKS(field)                                                                               \
    {                                                                                              \
        FIELD(field), .kind = DX_WAIT_UINT32, .max = LOOKS_MAX                                     \
    }
#define NAMES(field, list)                                                                         \
    {                                                                                              \
        FIELD(field), .kind = DX_WAIT_NAME, .max = sizeof(list) / sizeof *(list)-1,                \
                      .names = (list)                                                              \
    }
#define TIME(field, low, high, zero_too)                                                           \
    {                                                                                              \
        FIELD(field), .kind = DX_WAIT_INT64, .min = (low), .max = (high), .zero = (zero_too)       \
    }

const struct dx_wait_field dx_wait_fields[] = {
    LOOKS(spin_max),
    LOOKS(spin_min),
    LOOKS(spin_start),
    LOOKS(spin_inc),
    LOOKS(spin_dec),
    LOOKS(yield_every),
    LOOKS(burst),
    NAMES(relax, relax_names),
    NAMES(park, park_names),
    NAMES(adapt, adapt_names),
    TIME(park_timeout_ns, 1000, 1000000000000, false),
    TIME(poll_ns, 1000, 1000000000, false),
    TIME(peer_timeout_ns, 300000000, 1000000000000, true),
};
const unsigned dx_wait_field_count = sizeof dx_wait_fields / sizeof *dx_wait_fields;
_Static_assert(sizeof dx_wait_fields / sizeof *dx_wait_fields <= DX_WAIT_FIELDS_MAX,
               "room for all");

int64_t dx_wait_field_get(const struct dx_wait_field *field, const struct dx_wait *wait)
{
    const unsigned char *at = (const unsigned char *)wait + field->offset;
    int64_t wide;
    uint32_t narrow;
    if (field->kind == DX_WAIT_INT64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    memcpy(&narrow, at, sizeof narrow);
    return narrow;
}

void dx_wait_field_set(const struct dx_wait_field *field, struct dx_wait *wait, int64_t value)
{
    unsigned char *at = (unsigned char *)wait + field->offset;
    uint32_t narrow = (uint32_t)value;
    if (field->kind == DX_WAIT_INT64)
        memcpy(at, &value, sizeof value);
    else
        memcpy(at, &narrow, sizeof narrow);
}
