/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a step out of a region fatal: its mapping is moved between two that nobody may touch, and
 * under AddressSanitizer neither may what lies between the end of a payload and its next line. */
#ifndef DX_TEST_GUARD_H
#define DX_TEST_GUARD_H

#include <sys/mman.h>

#include "channel.h"
#include "test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARD_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define GUARD_ASAN 1
#endif
#ifdef GUARD_ASAN
#include <sanitizer/asan_interface.h>
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc has no header for it */
#define guard_forbid(at, bytes) __asan_poison_memory_region(at, bytes)
#define guard_allow(at, bytes) __asan_unpoison_memory_region(at, bytes)
#else
#define guard_forbid(at, bytes) ((void)(at), (void)(bytes))
#define guard_allow(at, bytes) ((void)(at), (void)(bytes))
#endif

#define GUARD_BYTES ((size_t)1 << 20)

struct guard {
    unsigned char *base; /* NULL: nothing is guarded */
    size_t bytes;        /* of the region */
};

static inline void guard_poison(const struct dx_channel *c)
{
    const struct dx_geometry *g = &c->geometry;
    for (uint32_t slot = 0; slot < g->slots; slot++) {
        unsigned char *request = dx_request_at(c, slot);
        unsigned char *response = dx_response_at(c, slot);
        guard_forbid(request + g->request_capacity, g->response_offset - g->request_capacity);
        guard_forbid(response + g->response_capacity,
                     g->payload_stride - g->response_offset - g->response_capacity);
    }
}

/* Before anybody has a pointer into the region. */
static inline void guard_begin(struct guard *guard, struct dx_channel *c)
{
    if (c == NULL)
        return;
    dx_heartbeat_end(&c->heartbeat); /* which has pointers into it */
    guard->bytes = (c->region.bytes + 4095) / 4096 * 4096;
    guard->base =
        mmap(NULL, guard->bytes + 2 * GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(guard->base != MAP_FAILED);
    void *moved = mremap(c->region.base, c->region.bytes, c->region.bytes,
                         MREMAP_MAYMOVE | MREMAP_FIXED, guard->base + GUARD_BYTES);
    assert_true(moved != MAP_FAILED);
    c->region.base = moved;
    dx_channel_point(c);
    assert_int_equal(dx_channel_watch(c), DX_OK);
    guard_poison(c);
}

/* Before the channel is closed. */
static inline void guard_release(const struct guard *guard)
{
    if (guard->base != NULL)
        guard_allow(guard->base + GUARD_BYTES, guard->bytes);
}

/* After it. What was the region's may be somebody else's by now. */
static inline void guard_end(struct guard *guard)
{
    if (guard->base == NULL)
        return;
    (void)munmap(guard->base, GUARD_BYTES);
    (void)munmap(guard->base + GUARD_BYTES + guard->bytes, GUARD_BYTES);
    guard->base = NULL;
}

#endif
