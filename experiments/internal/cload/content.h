/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content that can be checked: every request differs from every other, and its answer follows from
 * it, so that an answer that was lost, old, somebody else's or never copied is found. content.go
 * does the same; a test compares the two.
 *
 *   word i of request (caller, sequence) = (sequence + i) * ODD_A + caller * ODD_B
 *   answer                               = request with every bit flipped
 */
#ifndef DX_EXPERIMENT_CONTENT_H
#define DX_EXPERIMENT_CONTENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CONTENT_ODD_A 0x9e3779b97f4a7c15ull
#define CONTENT_ODD_B 0xc2b2ae3d27d4eb4full

static inline uint64_t content_word(uint32_t caller, uint64_t sequence, size_t i)
{
    return (sequence + i) * CONTENT_ODD_A + caller * CONTENT_ODD_B;
}

static inline void content_fill(unsigned char *to, size_t bytes, uint32_t caller, uint64_t sequence)
{
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word = content_word(caller, sequence, at / 8);
        memcpy(to + at, &word, bytes - at < 8 ? bytes - at : 8);
    }
}

static inline void content_answer(unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)~data[i];
}

static inline int content_is_answer(const unsigned char *data, size_t bytes, uint32_t caller,
                                    uint64_t sequence)
{
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word = ~content_word(caller, sequence, at / 8);
        if (memcmp(data + at, &word, bytes - at < 8 ? bytes - at : 8) != 0)
            return 0;
    }
    return 1;
}

#endif
