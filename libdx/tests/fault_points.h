/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every fault point: X(name, when a process comes by, which later visit is tried beside the first).
 * A later visit of 1 says that a life comes by only once. process_fault.c tries them all on each
 * side and fails if one is not reached. In the order of caller.c, caller_slots.c, queue.c
 * with queue_open.c, wait.c, wait_cell.c, serve.c, stream.c with stream_caller.c and
 * stream_serve.c, channel_session.c with layout.c, channel.c with region.c, channel_attach.c.
 */
#ifndef DX_FAULT_POINTS_H
#define DX_FAULT_POINTS_H

enum dx_fault_when {
    DX_FAULT_CALLS = 1,    /* while calls flow, caller or server */
    DX_FAULT_BESIDE = 2,   /* a life begins beside a living peer */
    DX_FAULT_FRESH = 4,    /* both lives begin, and there is no region yet */
    DX_FAULT_STALE = 8,    /* both lives begin on what a dead host left */
    DX_FAULT_LOST = 16,    /* a server takes over from one that died in its handler */
    DX_FAULT_CLOSE = 32,   /* the side closes in good order */
    DX_FAULT_OF_HOST = 64, /* the host alone comes by; likewise the guest */
    DX_FAULT_OF_GUEST = 128,
};

#define DX_FAULT_BEGIN (DX_FAULT_BESIDE | DX_FAULT_FRESH | DX_FAULT_STALE)
#define DX_FAULT_ALONE (DX_FAULT_FRESH | DX_FAULT_STALE)

/* clang-format off */
#define DX_FAULT_POINTS(X)                                                                         \
    X(CALL_ADMITTED, DX_FAULT_CALLS, 25)                                                           \
    X(REQUEST_STORED, DX_FAULT_CALLS, 25)                                                          \
    X(REQUEST_DESCRIBED, DX_FAULT_CALLS, 25)                                                       \
    X(REQUEST_PUBLISHED, DX_FAULT_CALLS, 25)                                                       \
    X(SERVER_RUNG, DX_FAULT_CALLS, 25)                                                             \
    X(ANSWER_AWAITED, DX_FAULT_CALLS, 25)                                                          \
    X(ANSWER_SEEN, DX_FAULT_CALLS, 25)                                                             \
    X(READINESS_AWAITED, DX_FAULT_CALLS, 5)                                                        \
    X(CALL_ABANDONED, DX_FAULT_CALLS, 5)                                                           \
    X(ABANDON_RUNG, DX_FAULT_CALLS, 5)                                                             \
    X(SLOT_TAKEN, DX_FAULT_CALLS, 10)                                                              \
    X(SLOT_COMPLETED, DX_FAULT_CALLS, 10)                                                          \
    X(SLOT_GIVEN_BACK, DX_FAULT_CALLS, 10)                                                         \
    X(QUEUE_DESCRIBED, DX_FAULT_CALLS, 25)                                                         \
    X(QUEUE_PUBLISHED, DX_FAULT_CALLS, 25)                                                         \
    X(QUEUE_RUNG, DX_FAULT_CALLS, 25)                                                              \
    X(QUEUE_ABANDONED, DX_FAULT_CALLS, 5)                                                          \
    X(QUEUE_ANSWER_SEEN, DX_FAULT_CALLS, 25)                                                       \
    X(QUEUE_COMPLETED, DX_FAULT_CALLS, 10)                                                         \
    X(QUEUE_GIVEN_BACK, DX_FAULT_CALLS, 10)                                                        \
    X(PARK_ANNOUNCED, DX_FAULT_CALLS, 25)                                                          \
    X(PARK_DECIDED, DX_FAULT_CALLS, 25)                                                            \
    X(PARK_WOKEN, DX_FAULT_CALLS, 25)                                                              \
    X(PARK_DISARMED, DX_FAULT_CALLS, 25)                                                           \
    X(PARK_ENDED, DX_FAULT_CALLS, 25)                                                              \
    X(CELL_ARMED, DX_FAULT_CALLS, 25)                                                              \
    X(CELL_SLEEPS, DX_FAULT_CALLS, 25)                                                             \
    X(RING_CLAIMED, DX_FAULT_CALLS, 25)                                                            \
    X(RING_DONE, DX_FAULT_CALLS, 25)                                                               \
    X(WORD_TAKEN_UP, DX_FAULT_CALLS, 25)                                                           \
    X(REQUEST_READ, DX_FAULT_CALLS, 25)                                                            \
    X(JOURNAL_WRITTEN, DX_FAULT_CALLS, 25)                                                         \
    X(IN_HANDLER, DX_FAULT_CALLS, 25)                                                              \
    X(RESPONSE_WRITTEN, DX_FAULT_CALLS, 25)                                                        \
    X(ANSWER_PUBLISHED, DX_FAULT_CALLS, 25)                                                        \
    X(ANSWERS_FENCED, DX_FAULT_CALLS, 25)                                                          \
    X(ANSWERS_RUNG, DX_FAULT_CALLS, 25)                                                            \
    X(ABANDON_SEEN, DX_FAULT_CALLS, 5)                                                             \
    X(LATER_TAKEN_UP, DX_FAULT_CALLS, 25)                                                           \
    X(STREAM_OPENED, DX_FAULT_CALLS, 10)                                                           \
    X(STREAM_FILLED, DX_FAULT_CALLS, 25)                                                           \
    X(STREAM_COMMITTED, DX_FAULT_CALLS, 25)                                                        \
    X(STREAM_CONSUMED, DX_FAULT_CALLS, 25)                                                         \
    X(STREAM_FINISHED, DX_FAULT_CALLS, 10)                                                         \
    X(STREAM_ANSWERED, DX_FAULT_CALLS, 10)                                                         \
    X(STREAM_BEGUN, DX_FAULT_CALLS, 10)                                                            \
    X(STREAM_CONCLUDED, DX_FAULT_CALLS, 10)                                                        \
    X(CALLER_GREETED, DX_FAULT_ALONE, 2)                                                           \
    X(TAKEOVER_HALF, DX_FAULT_BESIDE, 2)                                                           \
    X(TAKEOVER_LOST, DX_FAULT_LOST, 1)                                                             \
    X(TAKEOVER_DONE, DX_FAULT_BESIDE, 1)                                                           \
    X(SERVING_ENDED, DX_FAULT_CLOSE, 1)                                                            \
    X(HOST_REBUILDS, DX_FAULT_ALONE | DX_FAULT_OF_HOST, 1)                                         \
    X(HOST_CLEARED, DX_FAULT_ALONE | DX_FAULT_OF_HOST, 1)                                          \
    X(HEADER_HALF, DX_FAULT_ALONE | DX_FAULT_OF_HOST, 1)                                           \
    X(HOST_INITIALIZING, DX_FAULT_BESIDE | DX_FAULT_OF_HOST, 1)                                    \
    X(GUEST_INITIALIZING, DX_FAULT_BEGIN | DX_FAULT_OF_GUEST, 1)                                   \
    X(LINES_HALF, DX_FAULT_BEGIN, 2)                                                               \
    X(LINES_DONE, DX_FAULT_BEGIN, 1)                                                               \
    X(STATE_OPEN, DX_FAULT_BEGIN, 1)                                                               \
    X(HOST_MAGIC, DX_FAULT_BEGIN | DX_FAULT_OF_HOST, 1)                                            \
    X(HOST_OPEN, DX_FAULT_BEGIN | DX_FAULT_OF_HOST, 1)                                             \
    X(STATE_CLOSED, DX_FAULT_CLOSE, 1)                                                             \
    X(HOST_LOCKED, DX_FAULT_BEGIN | DX_FAULT_OF_HOST, 1)                                           \
    X(HOST_ALONE, DX_FAULT_STALE | DX_FAULT_OF_HOST, 1)                                            \
    X(HOST_UNNAMED, DX_FAULT_BEGIN | DX_FAULT_OF_HOST, 1)                                          \
    X(HOST_NAMED, DX_FAULT_FRESH | DX_FAULT_OF_HOST, 1)                                            \
    X(GUEST_LOCKED, DX_FAULT_BEGIN | DX_FAULT_OF_GUEST, 1)                                         \
    X(GUEST_CHECKED, DX_FAULT_BEGIN | DX_FAULT_OF_GUEST, 1)
/* clang-format on */

enum dx_fault {
#define DX_FAULT_ENUMERATOR(name, when, later) DX_FAULT_##name,
    DX_FAULT_POINTS(DX_FAULT_ENUMERATOR)
#undef DX_FAULT_ENUMERATOR
        DX_FAULT_COUNT
};

/* The calling thread has come by; what is planned for it happens before this returns. */
void dx_fault_reached(enum dx_fault point);

#endif
