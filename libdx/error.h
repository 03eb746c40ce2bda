/* SPDX-License-Identifier: Apache-2.0 */
/* The detail behind a status: one text a thread, for dx_last_error(). */
#ifndef DX_ERROR_H
#define DX_ERROR_H

#include "dx_status.h"

/* Keeps the text and returns the status, so that a failure is one line. */
dx_status dx_fail(dx_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* So that a reader that is a program sees it, too. */
#define dx_fail(status, ...) (dx_fail((status), __VA_ARGS__), (status))

/* As dx_fail, with ": " and the meaning of errno behind the text; DX_ERR_PERMISSION where errno
 * says so, else DX_ERR_SYSTEM. */
dx_status dx_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Puts `prefix: ` before the text that is there: a lower layer knows what, an upper one where. */
dx_status dx_fail_at(dx_status status, const char *prefix);

#endif
