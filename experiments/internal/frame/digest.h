/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 by OpenSSL, which allocates a small state for each digest and frees it. One thread at a
 * time may use one. */
#ifndef DX_EXPERIMENT_FRAME_DIGEST_H
#define DX_EXPERIMENT_FRAME_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

struct digest;

/* NULL if OpenSSL cannot. */
struct digest *digest_open(void);
void digest_close(struct digest *d); /* NULL is allowed */

/* False, and `out` is undefined, if OpenSSL fails. */
bool digest_of(struct digest *d, const void *data, size_t bytes,
               unsigned char out[FRAME_DIGEST_BYTES]);

#endif
