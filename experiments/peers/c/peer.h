/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer's program in C is made of. main of peer.c is the same for all of them:
 *
 *   PROGRAM server|client -way NAME -at FOLDER -payload BYTES -callers NUMBER
 *
 * Either side says "ready" on its standard output, and ends at the end of its standard input. A
 * client takes orders from there, one a line, and answers each with a line of JSON:
 *
 *   NANOSECONDS TIMED RATE CALLS
 *
 * Call for so long, from each caller. TIMED: 1 measures each call. RATE: calls a second of all
 * callers by a schedule, or 0, where each call follows the one before. CALLS: 0 only waits for the
 * starts of the schedule. The package experiments/peers/contract is the same for programs in Go.
 *
 * A program has the functions below. What goes wrong for good is said by peer_fail.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer_options {
    const char *way; /* of those that the program has */
    const char *at;  /* an empty folder of this pair of processes, for sockets and the like */
    size_t payload_bytes;
    unsigned callers;
};

/* Makes everything that a client needs to find the server, and returns while threads serve.
 * *options stays where it is. */
void peer_serve(const struct peer_options *options);

/* Connects a caller, 0 to callers - 1. Called on the main thread, for each of them in turn. */
void *peer_open(const struct peer_options *options, unsigned caller);

/* Sends the request's payload_bytes and waits for as many, which the server has copied from the
 * request. Called on a thread of this caller, another one for each order. Returns 0, or -1 for a
 * call that failed. */
int peer_call(void *caller, const void *request, void *response);

/* Removes what either side has made; each calls it before it ends. Threads may still serve. */
void peer_end(const struct peer_options *options, int server);

/* Prints a message and ends the process: code 1. */
_Noreturn void peer_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same where this peer cannot do what the options ask: code 3. */
_Noreturn void peer_cannot(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calloc that does not fail. */
void *peer_new(size_t bytes);

/* Starts a thread that nobody waits for. */
void peer_thread(void *(*run)(void *), void *argument);

/* "FOLDER/NAME" and "FOLDER/NAME-INDEX". The caller frees it. */
char *peer_path(const struct peer_options *options, const char *name);
char *peer_path_of(const struct peer_options *options, const char *name, unsigned index);

/* main, for a program whose main is in another language: it defines PEER_HAS_MAIN for peer.c. */
int peer_main(int count, char **arguments);

#endif
