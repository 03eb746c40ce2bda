/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler that leaves by longjmp runs no code of ours, so that what it left behind is noticed
 * only by the next dx_serve or dx_close of that channel. It has to be told from a call that a
 * handler makes while dx_serve still runs below it on the stack: there the answer is DX_ERR_BUSY.
 * The stack grows down. A function that is called above the frame of dx_serve finds that frame
 * gone. One that is called below it looks at the seal in that frame: while the frame lives, the
 * seal is whole; of a frame that is gone, the functions called since then have most likely written
 * over it. If they have not, the answer is DX_ERR_BUSY, which is safe.
 */
#include "serving.h"

#include <errno.h>
#include <unistd.h>

#include "atomic.h"

#if defined(__SANITIZE_ADDRESS__)
#define DX_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DX_ASAN
#endif
#endif

#ifdef DX_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Seals lie on the real stack, and what has become of them is looked at on purpose. */
#define DX_NO_ASAN __attribute__((noinline, no_sanitize("address")))

static uint64_t seal_word(const volatile uint64_t *seal, uint32_t i)
{
    return 0x9e3779b97f4a7c15ull * ((uint64_t)(uintptr_t)seal + i + 1);
}

DX_NO_ASAN void dx_entry_seal(struct dx_entry *entry, volatile uint64_t *seal)
{
    for (uint32_t i = 0; i < DX_SEAL_WORDS; i++)
        seal[i] = seal_word(seal, i);
    entry->process = getpid();
    entry->thread = pthread_self();
    entry->seal = seal;
    pthread_mutexattr_t robust;
    (void)pthread_mutexattr_init(&robust);
    (void)pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&entry->alive, &robust);
    (void)pthread_mutexattr_destroy(&robust);
    (void)pthread_mutex_lock(&entry->alive);
}

void dx_entry_end(struct dx_entry *entry)
{
    (void)pthread_mutex_unlock(&entry->alive);
    (void)pthread_mutex_destroy(&entry->alive);
}

/* Then its mutex is ours. By the time at which pthread_join returns this is true, while the kernel
 * may still know the thread's number. */
static bool has_ended(struct dx_entry *entry)
{
    int got = pthread_mutex_trylock(&entry->alive);
    if (got == EOWNERDEAD)
        (void)pthread_mutex_consistent(&entry->alive);
    else if (got == 0)
        (void)pthread_mutex_unlock(&entry->alive);
    return got == EOWNERDEAD;
}

DX_NO_ASAN static bool seal_is_whole(const volatile uint64_t *seal)
{
    bool whole = true;
    for (uint32_t i = 0; i < DX_SEAL_WORDS; i++)
        whole &= seal[i] == seal_word(seal, i);
    return whole;
}

void dx_serving_unmark(void)
{
#ifdef DX_ASAN
    pthread_attr_t attributes;
    void *lowest;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &lowest, &bytes) == 0)
        __asan_unpoison_memory_region(lowest, bytes);
    (void)pthread_attr_destroy(&attributes);
#endif
}

/* Do both places lie on this thread's own stack? On that of a coroutine nothing can be told. */
static bool on_one_stack(const void *one, const void *other)
{
    pthread_attr_t attributes;
    void *lowest;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return false;
    int failed = pthread_attr_getstack(&attributes, &lowest, &bytes);
    (void)pthread_attr_destroy(&attributes);
    uintptr_t begin = (uintptr_t)lowest;
    return failed == 0 && (uintptr_t)one - begin < bytes && (uintptr_t)other - begin < bytes;
}

static bool is_left(struct dx_entry *entry)
{
    const void *here = __builtin_frame_address(0);
    if (entry->process != getpid())
        return false; /* of the process that forked us: its threads are not here */
    if (has_ended(entry))
        return true;
    if (!pthread_equal(entry->thread, pthread_self()) ||
        !on_one_stack(here, (const void *)entry->seal))
        return false;
    return (uintptr_t)here >= (uintptr_t)entry->seal || !seal_is_whole(entry->seal);
}

struct dx_serving *dx_serving_take_left(struct dx_channel *c)
{
    (void)pthread_mutex_lock(&c->lock);
    struct dx_serving *left = c->served;
    if (left != NULL && !is_left(&left->entry))
        left = NULL;
    if (left != NULL)
        c->served = NULL;
    (void)pthread_mutex_unlock(&c->lock);
    return left;
}
