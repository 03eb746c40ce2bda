/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every atomic access of libdx goes through these wrappers; docs/protocol.md lists the pairs.
 *
 * At each use a comment names its partner:
 *   R2 -> A2   a release, and the acquire that makes visible what was written before it
 *   S1 <-> S2  a store followed by a load of another word, on both sides (Dekker's pattern): at
 *              least one side sees the other's store. This is what keeps wake-ups from being
 *              lost; it needs sequential consistency, or a full fence between store and load
 * A relaxed access says why no order is needed.
 */
#ifndef DX_ATOMIC_H
#define DX_ATOMIC_H

#include <stdatomic.h>

#define dx_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define dx_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define dx_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define dx_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define dx_load_seqcst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define dx_store_seqcst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#define dx_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define dx_add_acqrel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define dx_exchange_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define dx_exchange_acqrel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define dx_cas_relaxed(p, expected, v)                                                             \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed,            \
                                            memory_order_relaxed)
#define dx_cas_seqcst(p, expected, v)                                                              \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst,            \
                                            memory_order_relaxed)

/* Adds to a counter of which the calling thread is the sole writer: a load and a store, because
 * nobody else's store can come between and a locked instruction costs 20 cycles. */
#define dx_count(p, v) dx_store_relaxed((p), dx_load_relaxed(p) + (v))

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define DX_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define DX_TSAN 1
#endif

/* Orders every earlier store before every later load, for the S pairs whose store is a release.
 * ThreadSanitizer does not model fences, so its builds use a read-modify-write instead. */
static inline void dx_fence_store_load(void)
{
#ifdef DX_TSAN
    static _Atomic unsigned word;
    atomic_fetch_add_explicit(&word, 1u, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

static inline void dx_relax_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

#define dx_likely(x) __builtin_expect(!!(x), 1)
#define dx_unlikely(x) __builtin_expect(!!(x), 0)

#endif
