/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digest {
    EVP_MD_CTX *context;
    EVP_MD *kind; /* fetched once: a fetch for each digest would search and allocate */
};

struct digest *digest_open(void)
{
    struct digest *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->context = EVP_MD_CTX_new();
    d->kind = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (d->context != NULL && d->kind != NULL && EVP_DigestInit_ex(d->context, d->kind, NULL) == 1)
        return d;
    digest_close(d);
    return NULL;
}

void digest_close(struct digest *d)
{
    if (d == NULL)
        return;
    EVP_MD_CTX_free(d->context);
    EVP_MD_free(d->kind);
    free(d);
}

bool digest_of(struct digest *d, const void *data, size_t bytes,
               unsigned char out[FRAME_DIGEST_BYTES])
{
    unsigned length = 0;
    /* NULL is the kind that it has; naming it would allocate a state anew. */
    return EVP_DigestInit_ex(d->context, NULL, NULL) == 1 &&
           EVP_DigestUpdate(d->context, data, bytes) == 1 &&
           EVP_DigestFinal_ex(d->context, out, &length) == 1 && length == FRAME_DIGEST_BYTES;
}
