/* SPDX-License-Identifier: Apache-2.0 */
/* The detail of a status: one text for each thread, which dx_last_error() returns. */
#ifndef DX_ERROR_H
#define DX_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "dx_status.h"

/* Keeps the text and returns the status, so that a failure is one line. */
dx_status dx_fail(dx_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A program that reads the code then sees which status is returned. */
#define dx_fail(status, ...) (dx_fail((status), __VA_ARGS__), (status))

/* As dx_fail, with ": " and the meaning of errno after the text. Returns DX_ERR_PERMISSION where
 * errno says so, else DX_ERR_SYSTEM. */
dx_status dx_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For a status that needs no text: drops the text of an older failure, which would explain it
 * wrongly. Leaves the text alone if status is DX_OK. */
dx_status dx_fail_plain(dx_status status);

/*
 * These two go around a public function that is not on the fast path, so that it leaves no text but
 * its own. A failure has the text of dx_fail, or none. A success leaves no text of what was tried.
 */
uint64_t dx_error_mark(void);
dx_status dx_error_settle(uint64_t mark, dx_status status);

/* DX_ERR_INVALID if one of the words that a public struct keeps for later versions is not zero. */
dx_status dx_reserved_check(const char *structure, const uint64_t *reserved, size_t bytes);

/* Puts `prefix: ` before the text that is there: a lower layer knows what, an upper one where. */
dx_status dx_fail_at(dx_status status, const char *prefix);

#endif
