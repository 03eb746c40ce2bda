/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rendezvous protocol, with a hostile end. The first byte of an input chooses: if it is even,
 * the rest is what a server says to a client of ours; if it is odd, the rest is what clients do to
 * a server of ours, at which an honest client hears everything.
 *
 * A server's message is 1 byte enum fuzz_value, 1 byte enum fuzz_kind of what is sent in place of a
 * descriptor (FUZZ_TWO: twice, FUZZ_PIECE: a piece of the message only), and where the value asks
 * for it 8 bytes of it. A client's step is 1 byte enum fuzz_step and 1 byte which client.
 */
#ifndef DX_TEST_FUZZ_RENDEZVOUS_H
#define DX_TEST_FUZZ_RENDEZVOUS_H

#include <stddef.h>
#include <stdint.h>

enum fuzz_value { FUZZ_ZERO, FUZZ_MEMORY, FUZZ_OWN, FUZZ_PEER, FUZZ_LARGE, FUZZ_ANY, FUZZ_VALUES };

enum fuzz_kind {
    FUZZ_NONE,
    FUZZ_EVENTFD,
    FUZZ_FULL,
    FUZZ_MEMFD,
    FUZZ_PIPE,
    FUZZ_SOCKET,
    FUZZ_KINDS
};
#define FUZZ_TWO 0x40u
#define FUZZ_PIECE 0x80u

enum fuzz_step {
    FUZZ_ENTER,
    FUZZ_LEAVE,
    FUZZ_READ_ONE,
    FUZZ_READ_ALL,
    FUZZ_TALK,
    FUZZ_SEND_DESCRIPTOR,
    FUZZ_END_WRITING,
    FUZZ_END_READING,
    FUZZ_STEPS
};

/* How far inputs have come. */
struct fuzz_tally {
    uint64_t greeted; /* clients of ours */
    uint64_t refused;
    uint64_t joined; /* at a server of ours */
    uint64_t left;
};
extern struct fuzz_tally fuzz_tally;

/* The name under which libFuzzer looks for it. Ends the program if the library breaks its word. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
