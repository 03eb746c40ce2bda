// SPDX-License-Identifier: Apache-2.0

// Package alloccount counts allocations in C, for tests that say that there are
// none. A program that imports it has its own malloc in the place of the C library's, on
// top of that one: only tests import it.
package alloccount

/*
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stddef.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static _Atomic unsigned long calls;

static void count(void) { atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed); }

void *malloc(size_t bytes) { count(); return __libc_malloc(bytes); }
void *calloc(size_t n, size_t bytes) { count(); return __libc_calloc(n, bytes); }
void *realloc(void *p, size_t bytes) { count(); return __libc_realloc(p, bytes); }

static unsigned long count_calls(void) { return atomic_load_explicit(&calls, memory_order_relaxed); }
*/
import "C"

// Calls is how often this process has called malloc, calloc and realloc, in any
// library.
func Calls() uint64 { return uint64(C.count_calls()) }
