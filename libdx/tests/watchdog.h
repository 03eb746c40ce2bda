/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends a test that makes no progress, and says what every thread was doing. A test may be slow: how
 * long it takes depends on who else uses the machine. What ends it is that it has got nowhere for
 * QUIET_MS, counted while its threads slept. Time in which a thread waited for a CPU does not
 * count, and time in which one ran counts a fifth, for tests that spin.
 *
 * The process that main began watches; the test runs in a child of it, so that threads, signals
 * and children of the test are its own. Set DX_TEST_ALONE=1 to debug: then nobody watches.
 * DX_TEST_QUIET_MS is another bound.
 */
#ifndef DX_TEST_WATCHDOG_H
#define DX_TEST_WATCHDOG_H

#define QUIET_MS 60000

/* Forks, and returns in the child. */
void watchdog_begin(void);

/* Lets the watchdog have a look at the stacks of this process: for a program that a test starts. */
void watchdog_show_stacks(void);

/* Says that the test has got further. Any thread of it. */
void watchdog_step(void);

#endif
