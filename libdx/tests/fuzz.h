/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching to arbitrary bytes. An input is
 *
 *   byte 0   flags, enum fuzz_flag
 *   byte 1   the shape of the region (index into fuzz_shapes, modulo their number)
 *   then     FUZZ_RAW: the bytes of the region; else patches of a region in good order:
 *            2 bytes where (in units of 4 bytes), 1 byte how many, 8 bytes what
 *
 * so that a short input that means nothing already gets past the header.
 */
#ifndef DX_TEST_FUZZ_H
#define DX_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

enum fuzz_flag {
    FUZZ_RAW = 1,
    FUZZ_NO_HOST = 2, /* nobody holds the host's locks */
    FUZZ_SHORT = 4,   /* the file ends a page earlier */
    FUZZ_COPY = 8,    /* handlers get private copies */
    FUZZ_POOL = 16,   /* three serving threads */
    FUZZ_CUT = 32,    /* raw: no zeros are added up to what the header says */
};

#define FUZZ_HEAD_BYTES 2u
#define FUZZ_PATCH_BYTES 11u

struct fuzz_shape {
    uint32_t host_slots;
    uint32_t guest_slots;
    size_t request_capacity;
    size_t response_capacity;
};

/* The last has more slots than a server answers before it looks whom to ring. */
#define FUZZ_SHAPES 4u
extern const struct fuzz_shape fuzz_shapes[FUZZ_SHAPES];

/* Bytes of the largest of them. */
#define FUZZ_REGION_MAX ((size_t)1 << 16)

/* How far inputs have come, so that a test can tell that they do come far. */
struct fuzz_tally {
    _Atomic uint64_t observed;
    _Atomic uint64_t attached;
    _Atomic uint64_t answered; /* calls */
    _Atomic uint64_t served;   /* requests */
};
extern struct fuzz_tally fuzz_tally;

/* Lays out a region of that shape with a host, traffic on all slots, and a request that a guest
 * began and did not end; returns its size. `bytes` has FUZZ_REGION_MAX bytes. */
size_t fuzz_region(unsigned shape, unsigned char *bytes);

/* The name under which libFuzzer looks for it. Ends the program if the library breaks its word. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
