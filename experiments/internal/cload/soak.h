/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of the soak in C: callers that go on through every death of the other side, and the
 * handler that answers them. Both write down what they do in a ledger, which is memory beside the
 * region: package ledger explains it, soak.go compares the two at compile time.
 */
#ifndef DX_EXPERIMENT_SOAK_H
#define DX_EXPERIMENT_SOAK_H

#include <stddef.h>
#include <stdint.h>

#define SOAK_FAILED_KINDS 32
#define SOAK_HOST_LIVES 4u
#define SOAK_HEAD_BYTES 16u
#define SOAK_LEAST_BYTES 24u

struct dx_channel;

/* As ledger.Header, ledger.Handled and ledger.Caller, which say who writes what. */
struct soak_header {
    uint32_t mark;
    uint32_t scribbling;
    unsigned char reserved0[56];
    uint64_t bad_requests;
    unsigned char reserved1[4024];
};

struct soak_handled {
    uint64_t life, last, count, repeated;
};

struct soak_caller {
    uint64_t issued, verified;
    uint64_t wrong_stale, wrong_other, wrong_bytes;
    uint64_t forged_right, forged_wrong, forged_error;
    uint64_t lives;
    int64_t lives_ns;
    uint64_t mark;
    int64_t mark_ns;
    int64_t notice_ns;
    uint64_t asked, got_first, got_next;
    uint64_t failed[SOAK_FAILED_KINDS];
    struct soak_handled by_life[SOAK_HOST_LIVES];
};

static inline struct soak_caller *soak_callers(struct soak_header *ledger)
{
    return (struct soak_caller *)(void *)(ledger + 1);
}

/* Whose request it is, and which one. */
struct soak_sender {
    uint32_t caller;
    uint32_t life;
    uint64_t number;
};

/* Writes a request and returns its length. */
size_t soak_fill(unsigned char *to, size_t most, struct soak_sender from);

/* Turns it into its answer, in place, and says whose it was; 0 if nobody can have sent it. */
int soak_answer(unsigned char *data, size_t bytes, size_t most, struct soak_sender *from);

/* As the verdicts of package ledger. */
enum soak_verdict { SOAK_RIGHT, SOAK_STALE, SOAK_OTHER, SOAK_BYTES };
enum soak_verdict soak_judge(const unsigned char *answer, size_t bytes, size_t most,
                             struct soak_sender asked);

struct soak_host;

/* Starts one thread a caller. NULL with *status set if that fails. */
struct soak_host *soak_host_start(struct dx_channel *channel, struct soak_header *ledger,
                                  uint32_t callers, uint32_t life, int *status);

/* Gives all slots back, takes them all, and makes a call on each: how many were right. One thread,
 * and not together with soak_host_stop. */
uint32_t soak_host_slots(struct soak_host *host);

/* Stops the channel, ends the threads and gives the slots back. */
void soak_host_stop(struct soak_host *host);

/* Serves until the channel is stopped or the host is gone. A dx_status. */
int soak_serve(struct dx_channel *channel, struct soak_header *ledger, uint32_t callers,
               uint32_t life, int through_restart);

/* Bytes that this process has from malloc; 0 if the C library cannot tell. */
size_t soak_heap_bytes(void);

#endif
