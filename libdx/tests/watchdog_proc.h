/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says of the processes below this one, for the watchdog. */
#ifndef DX_TEST_WATCHDOG_PROC_H
#define DX_TEST_WATCHDOG_PROC_H

#include <signal.h>
#include <stdint.h>

/* Asks a thread to print its stack, in a process that has a handler for it. */
#define WATCHDOG_SIGNAL SIGQUIT

/* The times of all threads of the processes below this one. */
struct proc_tree {
    uint64_t run_ns;
    uint64_t wait_ns; /* for a CPU */
};

struct proc_tree proc_look(void);

/* Prints to stderr where each of these threads is: its state, where it waits in the kernel, its
 * system call, and its stack, if its process shows that. */
void proc_explain(void);

#endif
