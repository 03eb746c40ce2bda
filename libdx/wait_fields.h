/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a wait strategy, one row each: how files name them, and what they may be. */
#ifndef DX_WAIT_FIELDS_H
#define DX_WAIT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dx_wait.h"

enum dx_wait_kind { DX_WAIT_UINT32, DX_WAIT_INT64, DX_WAIT_NAME };

struct dx_wait_field {
    const char *name;
    enum dx_wait_kind kind;
    size_t offset;
    int64_t min;
    int64_t max;
    bool zero;                /* is possible, too: the default */
    const char *const *names; /* of DX_WAIT_NAME, in the order of their values */
};

#define DX_WAIT_FIELDS_MAX 32u
extern const struct dx_wait_field dx_wait_fields[];
extern const unsigned dx_wait_field_count;

int64_t dx_wait_field_get(const struct dx_wait_field *field, const struct dx_wait *wait);

/* The value fits into the field's type. */
void dx_wait_field_set(const struct dx_wait_field *field, struct dx_wait *wait, int64_t value);

#endif
