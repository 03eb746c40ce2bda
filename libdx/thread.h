/* SPDX-License-Identifier: Apache-2.0 */
/* How the library starts threads of its own. */
#ifndef DX_THREAD_H
#define DX_THREAD_H

#include <pthread.h>

/* No signal interrupts the thread. Its stack has the program's default size, but at least what the
 * library needs. Returns 0 or an error, as pthread_create. */
int dx_thread_start(pthread_t *thread, void *(*run)(void *user), void *user);

/* A condition whose waits end by the monotonic clock. */
void dx_thread_cond_init(pthread_cond_t *cond);

#endif
