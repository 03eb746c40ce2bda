/* SPDX-License-Identifier: Apache-2.0 */
/* Threads with the smallest stack that there may be, and memory below it that nobody may touch: who
 * needs more ends by SIGSEGV. */
#ifndef DX_TEST_SMALL_STACK_H
#define DX_TEST_SMALL_STACK_H

#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SMALL_STACK_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SMALL_STACK_SANITIZED 1
#endif
#if !defined(SMALL_STACK_SANITIZED) && !defined(__OPTIMIZE__)
/* Without optimization, too, each variable has a place of its own in a frame. */
#define SMALL_STACK_SANITIZED 1
#endif

/* Sanitizers put room around what lies in a frame, and need a stack of their own. There these tests
 * show that the functions work on a stack of the program's, and not how little they need. */
#ifdef SMALL_STACK_SANITIZED
#define SMALL_STACK_BYTES ((size_t)512 * 1024)
#else
#define SMALL_STACK_BYTES ((size_t)PTHREAD_STACK_MIN)
#endif
/* More than any frame could step over. */
#define SMALL_STACK_GUARD ((size_t)1 << 20)

struct small_stack {
    pthread_t thread;
    unsigned char *base; /* of the guard; NULL: nothing runs */
};

static inline void small_stack_start(struct small_stack *s, void *(*run)(void *user), void *user)
{
    pthread_attr_t attributes;
    s->base = mmap(NULL, SMALL_STACK_GUARD + SMALL_STACK_BYTES, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(s->base != MAP_FAILED);
    unsigned char *stack = s->base + SMALL_STACK_GUARD;
    assert_int_equal(mprotect(stack, SMALL_STACK_BYTES, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack, SMALL_STACK_BYTES), 0);
    assert_int_equal(pthread_create(&s->thread, &attributes, run, user), 0);
    (void)pthread_attr_destroy(&attributes);
}

static inline void small_stack_join(struct small_stack *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    assert_int_equal(munmap(s->base, SMALL_STACK_GUARD + SMALL_STACK_BYTES), 0);
    s->base = NULL;
    watchdog_step();
}

#endif
