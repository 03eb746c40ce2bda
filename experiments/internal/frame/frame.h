/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between a host and a guest, phase by phase. The host writes a frame behind a head into its
 * slot and then makes one call for each phase; the type of the call says what the guest does with
 * the frame that lies there, and the response says how long that took, by the guest's clock.
 *
 * The guest is told everything by these messages: its program needs no sizes and no counts.
 */
#ifndef DX_EXPERIMENT_FRAME_H
#define DX_EXPERIMENT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_DIGEST_BYTES 32u
#define FRAME_STEP 64u             /* sizes of frames are multiples of this */
#define FRAME_BYTES_MAX (1u << 28) /* 256 MiB */

/* What stands before the frame. */
struct frame_head {
    uint64_t sequence; /* the first word of the content says it, too */
    uint64_t bytes;    /* of the content, behind the head */
    uint64_t flags;    /* enum frame_flag */
    uint64_t chunk; /* of PREPARE: bytes after which the guest publishes its progress in a stream */
    unsigned char digest[FRAME_DIGEST_BYTES]; /* SHA-256 of the content */
    uint64_t padding1[8];
};
_Static_assert(sizeof(struct frame_head) == 128, "the content begins on a line of its own");

enum frame_flag {
    FRAME_SKIP_COPY = 1, /* the guest is to leave the copy out: a fault that must be found */
};

/* Types of calls. Only what lies between two readings of the guest's clock is in `ns`. */
enum frame_type {
    FRAME_PREPARE = 128, /* new memory of head.bytes for the copy, not touched yet */
    FRAME_NOTIFY,        /* nothing: what an exchange costs by itself */
    FRAME_COPY,          /* region to the guest's memory, caches as they are */
    FRAME_READ,          /* every byte in place, caches as they are */
    FRAME_READ_HOT,      /* every byte in place, right after a pass that is not timed */
    FRAME_READ_COLD,     /* every byte in place, flushed before */
    FRAME_STRIDED_COLD,  /* one load of 8 bytes a line in place, flushed before */
    FRAME_COPY_COLD,     /* as COPY, source and destination flushed before */
    FRAME_WRITE_COLD,    /* stores to the guest's memory and no loads, flushed before */
    FRAME_VERIFY_COPY,   /* SHA-256 of the guest's memory */
    FRAME_VERIFY_PLACE,  /* SHA-256 of the region */
    FRAME_MEMORY,        /* what the guest occupies */
    FRAME_STREAM,        /* a stream of head.bytes of PREPARE, copied to the guest's memory */
    FRAME_STREAM_DROP,   /* a stream that is read and not copied: a fault that must be found */
    FRAME_COUNT,         /* as COPY, with the guest's counters running and no clock */
};

#define FRAME_TEXT_BYTES 4096u

/* The response; behind that of COUNT stands what was counted, as text of at most FRAME_TEXT_BYTES.
 */
struct frame_report {
    uint64_t sequence;
    int64_t ns;
    uint64_t bytes;    /* that were loaded, stored, copied or hashed */
    uint64_t loads;    /* instructions of a read */
    uint64_t sum;      /* of a read: of all words that were loaded, modulo 2^64 */
    uint64_t right;    /* of a verification: 1 if digest and sequence are those of the head */
    uint64_t flush;    /* enum frame_flush: how this guest empties its caches */
    int64_t copied_ns; /* of VERIFY_COPY: what the stream before it took, waits included */
    uint64_t anonymous_bytes; /* of PREPARE and MEMORY: private memory that the guest occupies */
};

enum frame_flush {
    FRAME_FLUSH_EVICT = 0, /* by reading other memory: for CPUs that cannot flush a line */
    FRAME_FLUSH_CLFLUSH = 1,
    FRAME_FLUSH_CLFLUSHOPT = 2,
    FRAME_FLUSH_CIVAC = 3, /* Arm */
};

#endif
